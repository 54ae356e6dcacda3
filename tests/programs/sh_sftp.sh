#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: openssh-client sftp
# needs: openssh-server sshd
# needs: rsync rsync
# needs: git git
# needs: python3-paramiko file:/usr/lib/python3/dist-packages/paramiko/__init__.py
# run: sh {file} {servers} {host} {url} {port}
# server: ssh
# mask: \(in .*|\(\d+\)|rsync error:.*|(?m:^rsync \d+$)
# Over ssh: one connection for many (ControlMaster), a jump, scp, sftp, rsync, git, paramiko.
servers=$1 host=$2 url=$3 port=$4
case $host in *.3) limit=1 ;; *) limit=10 ;; esac	# a busy machine takes its time over the keys
cat > config <<END
Include $servers/ssh_config
Host *
    UserKnownHostsFile /dev/null
    ConnectTimeout $limit
    LogLevel ERROR
END
ssh_="ssh -F config -p $port"
head -c 1000000 /dev/zero > data
$ssh_ -M -S control -f -N "$host" && {
	seq 5 | xargs -P 5 -I % ssh -F config -S control "$host" echo % | sort -n | tr '\n' ' '
	ssh -F config -S control -O exit "$host" 2>&1
}
[ "$limit" = 10 ] || exit
ssh -F config -o ProxyCommand="$ssh_ -W 127.0.0.1:2222 $host" beyond echo jumped 2>&1
scp -F config -P "$port" -q data "$url:$PWD/scp" 2>&1
echo "scp $?"
echo "put data $PWD/sftp" | sftp -F config -P "$port" -q -b - "$url" 2>&1
echo "sftp $?"
rsync -e "$ssh_" data "$url:$PWD/rsync" 2>&1
echo "rsync $?"
git init -q --bare repo
GIT_SSH_COMMAND="$ssh_" git ls-remote "$host:$PWD/repo" 2>&1
echo "git $?"
cksum data scp sftp rsync 2>&1
/usr/bin/python3 - "$servers" "$host" "$port" <<-'PYTHON'
	import sys, paramiko
	c = paramiko.SSHClient()
	c.set_missing_host_key_policy(paramiko.AutoAddPolicy())
	try:
	    c.connect(sys.argv[2], int(sys.argv[3]), "root", key_filename=sys.argv[1] + "/user", timeout=1, allow_agent=False)
	    print(c.exec_command("echo paramiko")[1].read(), c.open_sftp().stat("/etc/passwd").st_uid)
	except OSError as e:
	    print(repr(e))
PYTHON

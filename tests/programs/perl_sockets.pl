# SPDX-License-Identifier: MIT
# needs: perl perl
# run: perl {file} {host} {port}
# set: fast
# Perl: IO::Socket::IP with and without a time-out, and twenty connections at once with IO::Select.
use strict;
use warnings;
use IO::Select;
use IO::Socket::IP;

my ($host, $port) = @ARGV;

sub talk {
	my ($s) = @_;
	print {$s} "hello\n";
	$s->flush;
	return readline($s) =~ s/\n//r;
}

my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Timeout => 1);
print $s ? join(' ', talk($s), $s->peerhost, $s->peerport, $s->sockhost) : "$@ ($!)", "\n";
my ($set, %said) = (IO::Select->new);
for (1 .. 20) {
	my $one = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Blocking => 0) or die $@;
	$set->add($one);
}
my $end = time + 2;
while ($set->count && time < $end) {
	for my $one ($set->can_write(1)) {
		next if !$one->connect && $!{EINPROGRESS};
		my $error = $one->getsockopt(SOL_SOCKET, SO_ERROR);
		$set->remove($one);
		$one->blocking(1);
		$said{$one->connected ? talk($one) : "not connected"}++;
	}
}
$said{left} = $set->count;
print join(', ', map { "$_ $said{$_}" } sort keys %said), "\n";

# SPDX-License-Identifier: MIT
# needs: tcl tclsh
# run: tclsh {file} {host} {port}
# Tcl: socket, and twenty of its asynchronous kind in the event loop.
lassign $argv host port
set left 20
proc over {text} {
    dict incr ::said $text
    incr ::left -1
}
proc writable s {
    fileevent $s writable {}
    set error [fconfigure $s -error]
    if {$error ne ""} {
        close $s
        return [over $error]
    }
    puts $s hello
    flush $s
    fileevent $s readable [list readable $s]
}
proc readable s {
    gets $s line
    over "$line [lindex [fconfigure $s -peername] 0] [lindex [fconfigure $s -sockname] 0]"
    close $s
}
for {set i 0} {$i < 20} {incr i} {
    set s [socket -async $host $port]
    fileevent $s writable [list writable $s]
}
after 1000 {set left -1}
while {$left > 0} {vwait left}
if {$left < 0} {puts "timed out"; exit}
dict for {text n} $said {puts "$n $text"}
puts [catch {socket $host $port} s]

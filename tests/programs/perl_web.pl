# SPDX-License-Identifier: MIT
# needs: libwww-perl file:/usr/share/perl5/LWP.pm
# needs: libanyevent-perl file:/usr/lib/*/perl5/*/AnyEvent.pm
# run: perl {file} {host} {port} http://{url}:{port}/
# server: http
# mask: line \d+
# Perl: LWP kept alive, and AnyEvent, twenty at once.
use strict;
use warnings;
use AnyEvent;
use AnyEvent::Handle;
use AnyEvent::Socket;
use Socket qw(:addrinfo SOCK_STREAM);
use LWP::UserAgent;

my ($host, $port, $url) = @ARGV;
my $ua = LWP::UserAgent->new(timeout => 1, keep_alive => 1);
for (1 .. 2) {
	my $r = $ua->get($url);
	print $r->status_line, ' ', $r->content;
}
# Its own resolver sends queries that nobody answers here, so libc's is asked.
my ($error, $first) = getaddrinfo($host, $port, { socktype => SOCK_STREAM });
($error, my $address) = getnameinfo($first->{addr}, NI_NUMERICHOST);
my ($done, %said) = (AnyEvent->condvar);
my @held;
for my $i (1 .. 20) {
	$done->begin;
	my $end = sub { $said{$_[0]}++; $done->end };
	push @held, tcp_connect $address, $port, sub {
		my ($fh, $peer, $peerport) = @_;
		return $end->("failed: $!") unless $fh;
		my $h;
		$h = AnyEvent::Handle->new(fh => $fh, on_error => sub { $end->("error $_[2]"); $h->destroy });
		$h->push_write("GET /$i HTTP/1.1\r\nHost: x\r\n\r\n");
		$h->push_read(line => sub { $end->("$_[1] $peer $peerport"); $h->destroy });
	}, sub { 1 };
}
$done->recv;
print "$said{$_} $_\n" for sort keys %said;

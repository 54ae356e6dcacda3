# SPDX-License-Identifier: MIT
# needs: ruby ruby
# run: ruby {file} {host} {port}
# set: fast
# Ruby: Socket.tcp with a time-out, threads, connect_nonblock with IO.select.
require 'socket'
host, port = ARGV[0], ARGV[1].to_i

def try
  yield
rescue SystemCallError, IOError => e
  "#{e.class} #{e.message}"
end

def talk(s)
  s.puts 'hello'
  "#{s.gets.chomp} #{s.remote_address.ip_address} #{s.remote_address.ip_port} #{s.local_address.ip_address}"
end

puts(try { Socket.tcp(host, port, connect_timeout: 1) { |s| talk(s) } })
threads = Array.new(20) { Thread.new { try { Socket.tcp(host, port, connect_timeout: 1) { |s| talk(s) } } } }
threads.map(&:value).tally.each { |text, n| puts "#{n} #{text}" }
address = Addrinfo.tcp(host, port)
outcomes = Array.new(10) do
  s = Socket.new(address.afamily, :STREAM)
  started = s.connect_nonblock(address, exception: false)
  ready = IO.select(nil, [s], nil, 0.5)
  next "#{started} nothing" unless ready
  "#{started} " + try { s.connect_nonblock(address, exception: false); talk(s) }
end
outcomes.tally.each { |text, n| puts "#{n} #{text}" }

# SPDX-License-Identifier: MIT
# needs: ruby ruby
# needs: ruby-async file:/usr/share/rubygems-integration/all/gems/async-1*
# run: ruby -W0 {file} {host} {port}
# server: http
# mask: 0x[0-9a-f]+
# Ruby: net/http kept alive, and async's tasks, twenty at once.
require 'async'
require 'net/http'
host, port = ARGV[0], ARGV[1].to_i

def try
  yield
rescue SystemCallError, IOError, Timeout::Error, Async::TimeoutError => e
  "#{e.class} #{e.message}"
end

puts(try {
  Net::HTTP.start(host, port, open_timeout: 1, max_retries: 0) { |http| Array.new(3) { http.get('/').body.chomp }.join(', ') }
})
said = Async do |all|
  Array.new(20) {
    all.async { |task|
      try {
        task.with_timeout(1) {
          Net::HTTP.start(host, port) { |http| http.get('/').body.chomp }
        }
      }
    }
  }.map(&:wait)
end.wait
said.tally.each { |text, n| puts "#{n} #{text}" }

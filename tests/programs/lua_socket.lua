-- SPDX-License-Identifier: MIT
-- needs: lua5.4 lua5.4
-- needs: lua-socket file:/usr/share/lua/5.4/socket.lua
-- run: lua5.4 {file} {host} {port}
-- Lua: LuaSocket with a time-out, and ten that do not block under select.
local socket = require("socket")
local host, port = arg[1], tonumber(arg[2])

local function talk(s)
    s:settimeout(5)
    s:send("hello\n")
    return s:receive(), s:getpeername()
end

local s = socket.tcp()
s:settimeout(1)
local ok, why = s:connect(host, port)
if ok then print(talk(s)) else print(why) end
local all, first = {}, socket.dns.getaddrinfo(host)[1]
for i = 1, 10 do
    local c = first.family == "inet6" and socket.tcp6() or socket.tcp4()
    c:settimeout(0)
    print(c:connect(first.addr, port))
    all[i] = c
end
local deadline = socket.gettime() + 1
while #all > 0 and socket.gettime() < deadline do
    local _, ready = socket.select(nil, all, 0.5)
    for i = #all, 1, -1 do
        if ready[all[i]] then
            local c = table.remove(all, i)
            local peer = c:getpeername()
            if peer then print(talk(c)) else print("failed", select(2, c:connect(first.addr, port))) end
        end
    end
end
print(#all, "left")

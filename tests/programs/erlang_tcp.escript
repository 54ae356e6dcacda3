%% SPDX-License-Identifier: MIT
%% needs: erlang-base escript
%% run: escript {file} {host} {port}
%% Erlang: gen_tcp with the runtime's own driver and with its sockets, thirty processes at once.
main([Host, Port]) ->
    [io:format("~p ~p~n", [Backend, tally(Backend, Host, list_to_integer(Port))]) || Backend <- [inet, socket]].

tally(Backend, Host, Port) ->
    Family = case inet:getaddr(Host, inet) of {ok, _} -> inet; _ -> inet6 end,
    Me = self(),
    [spawn(fun() -> Me ! {said, one(Backend, Family, Host, Port)} end) || _ <- lists:seq(1, 30)],
    Said = [receive {said, What} -> What end || _ <- lists:seq(1, 30)],
    [{What, length([W || W <- Said, W =:= What])} || What <- lists:usort(Said)].

one(Backend, Family, Host, Port) ->
    Options = [{inet_backend, Backend}, Family, binary, {active, false}],
    case gen_tcp:connect(Host, Port, Options, 1000) of
        {ok, Socket} ->
            Data = binary:copy(<<"hello">>, 20000),
            ok = gen_tcp:send(Socket, Data),
            {ok, Got} = gen_tcp:recv(Socket, byte_size(Data), 5000),
            {ok, Peer} = inet:peername(Socket),
            {ok, {Me, _}} = inet:sockname(Socket),
            ok = gen_tcp:shutdown(Socket, write),
            {Got =:= Data, gen_tcp:recv(Socket, 0, 5000), Peer, Me};
        Error -> Error
    end.

(* SPDX-License-Identifier: MIT *)
(* needs: ocaml-nox ocamlopt *)
(* build: cp {file} {out}/run.ml && ocamlfind ocamlopt -package unix -linkpkg -o {out}/run {out}/run.ml 2>&1 || ocamlopt -I +unix -o {out}/run unix.cmxa {out}/run.ml *)
(* run: {out}/run {host} {port} *)
(* OCaml: ten sockets that do not block under select, then one channel. *)
let () =
  let where = List.hd Unix.(getaddrinfo Sys.argv.(1) Sys.argv.(2) [ AI_SOCKTYPE SOCK_STREAM ]) in
  let name = function
    | Unix.ADDR_INET (a, p) -> Printf.sprintf "%s %d" (Unix.string_of_inet_addr a) p
    | Unix.ADDR_UNIX s -> s in
  let start () =
    let s = Unix.socket where.ai_family SOCK_STREAM 0 in
    Unix.set_nonblock s;
    (try Unix.connect s where.ai_addr with Unix.Unix_error (e, _, _) -> print_endline (Unix.error_message e));
    s in
  let rec wait left until =
    if left = [] || Unix.gettimeofday () > until then begin
      Printf.printf "%d left\n" (List.length left);
      left = []
    end else begin
      let _, ready, _ = Unix.select [] left [] 0.5 in
      List.iter (fun s ->
        print_endline (match Unix.getsockopt_error s with
          | None -> "connected " ^ name (Unix.getpeername s)
          | Some e -> Unix.error_message e);
        Unix.close s) ready;
      wait (List.filter (fun s -> not (List.mem s ready)) left) until
    end in
  if wait (List.init 10 (fun _ -> start ())) (Unix.gettimeofday () +. 1.0) then
    try
      let input, output = Unix.open_connection where.ai_addr in
      output_string output "hello\n";
      flush output;
      print_endline (input_line input)
    with Unix.Unix_error (e, what, _) -> print_endline (what ^ " " ^ Unix.error_message e)

# SPDX-License-Identifier: MIT
# needs: r-base-core Rscript
# needs: r-cran-curl file:/usr/lib/R/site-library/curl
# run: Rscript {file} {host} {port} http://{url}:{port}/
# server: http
# mask: after \d+ ms|in \d+ ms|\d+ milliseconds
# R: its own sockets and the curl package, one and twenty at once.
args <- commandArgs(TRUE)
say <- function(e) cat(conditionMessage(e), "\n")
tryCatch({
    s <- socketConnection(args[1], as.integer(args[2]), open = "r+", timeout = 1, blocking = TRUE)
    writeLines("GET / HTTP/1.0\r\n\r", s)
    print(readLines(s, 1))
    close(s)
}, error = say, warning = say)
h <- function() curl::new_handle(connecttimeout_ms = 1000)
tryCatch(cat(rawToChar(curl::curl_fetch_memory(args[3], h())$content)), error = say)
said <- character()
for (i in 1:20)
    curl::curl_fetch_multi(paste0(args[3], i), function(r) said <<- c(said, rawToChar(r$content)),
                           function(e) said <<- c(said, "failed"), handle = h())
curl::multi_run()
print(table(said))

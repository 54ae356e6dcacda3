;; SPDX-License-Identifier: MIT
;; needs: guile-3.0 guile
;; run: guile --no-auto-compile {file} {host} {port}
;; Guile: a port on a socket, and ten that do not block under select.
(use-modules (ice-9 rdelim) (srfi srfi-1))
(define where (car (getaddrinfo (cadr (command-line)) (caddr (command-line)) 0 AF_UNSPEC SOCK_STREAM)))
(define (make) (socket (addrinfo:fam where) SOCK_STREAM 0))
(define (start)
  (let ((s (make)))
    (fcntl s F_SETFL (logior O_NONBLOCK (fcntl s F_GETFL)))
    (catch 'system-error
      (lambda () (format #t "at once ~a~%" (connect s (addrinfo:addr where))))
      (lambda e (format #t "~a~%" (strerror (system-error-errno e)))))
    s))
(define (wait left)
  (let ((ready (if (null? left) left (cadr (select '() left '() 0.5)))))
    (if (null? ready)
        left
        (begin
          (for-each (lambda (s) (format #t "ready ~a~%" (strerror (getsockopt s SOL_SOCKET SO_ERROR)))) ready)
          (wait (lset-difference eq? left ready))))))
(let ((left (wait (map (lambda (_) (start)) (iota 10)))))
  (format #t "~a left~%" (length left))
  (when (null? left)
    (catch 'system-error
      (lambda ()
        (let ((s (make)))
          (connect s (addrinfo:addr where))
          (display "hello\n" s)
          (force-output s)
          (format #t "~a~%" (read-line s))))
      (lambda e (format #t "~a~%" (strerror (system-error-errno e)))))))

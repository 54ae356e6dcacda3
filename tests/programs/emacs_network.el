;; SPDX-License-Identifier: MIT
;; needs: emacs-nox emacs
;; run: emacs --batch -Q -l {file} {host} {port}
;; Emacs: a network process that waits, and ten that do not (:nowait).
(setq host (pop command-line-args-left) port (string-to-number (pop command-line-args-left)))
(defun said (p event)
  (message "%s" (string-trim (replace-regexp-in-string "<[0-9]+>" "" event)))
  (if (string-prefix-p "open" event) (process-send-string p "hello")))
(let ((all nil) (end (+ (float-time) 1.5)))
  (dotimes (_ 10)
    (push (make-network-process :name "x" :host host :service port :nowait t :sentinel #'said
                                :filter (lambda (p text) (message "%s" text) (delete-process p)))
          all))
  (while (and (< (float-time) end) (seq-some (lambda (p) (memq (process-status p) '(connect open))) all))
    (accept-process-output nil 0.1))
  (message "%s" (mapcar #'process-status all))
  (unless (eq (process-status (car all)) 'connect)
    (condition-case e
        (let ((p (make-network-process :name "y" :host host :service port)))
          (message "%s" (process-contact p :remote)))
      (error (message "%s" e)))))

# SPDX-License-Identifier: MIT
# Completion of tsproxy for fish. `tsproxy complete` knows what there is.

function __tsproxy_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l name $words[1]
    set -e words[1]
    for line in ($name complete $words $current 2>/dev/null)
        switch $line
            case '!command *'
                # The words from there on are a command line of its own.
                set -l at (math (string split ' ' -- $line)[2] + 1)
                set -l rest
                test $at -le (count $words); and set rest (string escape -- $words[$at..-1])
                complete -C (string join ' ' -- $rest $current)
            case '!files'
                __fish_complete_path $current
            case '*'
                echo $line
        end
    end
end
complete -c tsproxy -f -a '(__tsproxy_complete)'

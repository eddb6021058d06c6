# fish completion for sithctl

function __sithctl_complete
    set -l line (commandline -cp | string collect)
    set -l found (env _SITHCTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args _TYPER_COMPLETE_ARGS=$line sithctl 2>/dev/null)
    set -l option (string match -r -- '^--[^=]*=' (commandline -ct))
    if test -n "$found[1]"
        printf "$option%s\n" $found
    else
        __fish_complete_path (commandline -ct)
    end
end

complete --command sithctl --no-files --keep-order --arguments '(__sithctl_complete)'

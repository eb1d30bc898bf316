_mcp_startup() {
    local line=$COMP_LINE words=() last=-1 at word current space prefix reply end replies=() globs=
    for ((at = 0; at <= COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        # Bash splits words at `:` and `=`, as in `cursor:linear` and `--format=json`.
        if ((at > 0)) && [[ $line != [[:blank:]]* ]] && [[ $word == [:=]* || ${words[last]} == *[:=] ]]; then
            words[last]+=$word
        else
            words+=("$word")
            last=$((last + 1))
        fi
        line=${line#*"$word"}
    done
    current=${words[last]}
    # Bash keeps the quote that a word begins with.
    words[last]=${current#[\"\']}
    # Bash replaces only what follows the last of them.
    prefix=
    [[ $current == [\"\']* ]] || prefix=${current%"${current##*["${COMP_WORDBREAKS//[^:=]/}"]}"}
    space=true
    compopt +o nospace 2>/dev/null && space=false
    local IFS=$'\013'
    # A name such as `/e*` must not become the files that it matches.
    [[ $- == *f* ]] || globs=1
    set -f
    COMPREPLY=($(
        _CLAP_IFS="$IFS" _CLAP_COMPLETE_INDEX="$last" _CLAP_COMPLETE_COMP_TYPE="${COMP_TYPE:-9}" \
            _CLAP_COMPLETE_SPACE="$space" MCP_STARTUP_COMPLETE=bash mcp-startup -- "${words[@]}"
    )) || COMPREPLY=()
    [[ -z $globs ]] || set +f
    for reply in ${COMPREPLY[@]+"${COMPREPLY[@]}"}; do
        end=
        [[ $space == false || $reply != *' ' ]] || end=' '
        reply=${reply%"$end"}
        reply=${reply#"$prefix"}
        # A word such as `my server` is quoted, unless it is in quotes already.
        [[ $current == [\"\']* || $reply != *[!A-Za-z0-9_./:=@,+~-]* ]] || printf -v reply %q "$reply"
        replies+=("$reply$end")
    done
    COMPREPLY=(${replies[@]+"${replies[@]}"})
    if [[ $space == false && ${COMPREPLY-} =~ [=/:]$ ]]; then
        compopt -o nospace
    fi
}
if [[ ${BASH_VERSINFO[0]} -gt 4 || ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _mcp_startup mcp-startup
else
    complete -o nospace -o bashdefault -F _mcp_startup mcp-startup
fi

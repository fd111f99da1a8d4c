# bash completion for caskade(1).                          -*- shell-script -*-
#
# Options are listed by command; tests compare the lists with --help.

# Options of commands that open a store: reading, writing.
_caskade_read='--damage --io --linger --read-only --region-dir --timeout
    --verbose'
_caskade_write='--allow-remote --damage --exclusive --io --linger --region-dir
    --sync --timeout --verbose'

_caskade_commands='backup config convert count create delete delete-range dump exists expire export
    get help import ingest list load merge persist put region repair run scan shell stat
    sync ttl verify'

# The options of command $1.
_caskade_options() {
    case $1 in
    create) echo "--engine --filter-prefix-bytes --memtable-bytes --mode --segment-max-bytes $_caskade_write" ;;
    put) echo "--escapes --if-absent --ttl $_caskade_write" ;;
    get | exists) echo "--escapes $_caskade_read" ;;
    delete | persist) echo "--escapes $_caskade_write" ;;
    delete-range)
        echo "--escapes --everything --from --json --prefix --to $_caskade_write"
        ;;
    ttl) echo "--escapes --ms $_caskade_read" ;;
    expire) echo "--at --escapes --ttl $_caskade_write" ;;
    count) echo "$_caskade_read" ;;
    ingest) echo "--json --move $_caskade_write" ;;
    load) echo "--batch --format $_caskade_write" ;;
    scan)
        echo "--escapes --format --from --keys --limit --prefix --reverse --to
            $_caskade_read"
        ;;
    dump | list) echo "--format $_caskade_read" ;;
    stat) echo "--json --segments --watch $_caskade_read" ;;
    verify) echo "--json" ;;
    repair) echo "--json" ;;
    backup) echo "--incremental --json --no-verify $_caskade_read" ;;
    config) echo "--json --reset --reset-all $_caskade_write" ;;
    convert) echo "--engine --json $_caskade_read" ;;
    merge) echo "--all --cancel --json --plan --wait $_caskade_write" ;;
    sync) echo "$_caskade_write" ;;
    shell) echo "--read-only $_caskade_write" ;;
    import)
        echo "--expiry-seconds --force --into-existing --strict
            $_caskade_write"
        ;;
    export) echo "--drop-expiry --max-file-size $_caskade_read" ;;
    region) echo "--json --orphans --region-dir" ;;
    run)
        echo "--escapes --format --from --json --keys --limit --memory
            --no-filter --prefix --prefix-bytes --records --reverse --sort
            --to"
        ;;
    esac
    echo "--help"
}

# What may follow option $1: words, -d for a directory, or nothing that is known;
# status 1 if it takes no word.
_caskade_values() {
    case $1 in
    --engine | -E) echo 'hash tree' ;;
    --format | -f) echo 'tsv jsonl hex' ;;
    --sync) echo 'none interval commit' ;;
    --io) echo 'map pread' ;;
    --damage) echo 'fail serve' ;;
    --reset) echo "$_caskade_settings" ;;
    --region-dir | --incremental | -i) echo -d ;;
    --at | --batch | -b | --expiry-seconds | --filter-prefix-bytes | --from | \
        --limit | --max-file-size | --memory | --memtable-bytes | --mode | \
        --prefix | --prefix-bytes | --segment-max-bytes | --timeout | --to | \
        --ttl) ;;
    *) return 1 ;;
    esac
}

# The names of settings; a test compares them with `caskade config`.
_caskade_settings='age_merge_trigger compaction dead_bytes_merge_trigger dead_bytes_threshold
    expiry_grace_seconds expiry_seconds filter_prefix_bytes frag_merge_trigger
    frag_threshold max_merge_size max_segments max_space_amplification
    memtable_bytes merge_rate_bytes merge_sync_target_ms merge_window
    segment_max_bytes small_file_threshold value_separation_bytes'

# How many words that are no options stand before the cursor, from word 2 on.
_caskade_word_count() {
    local i before count=0
    for ((i = 2; i < COMP_CWORD; i++)); do
        before=${COMP_WORDS[i - 1]}
        # What follows an option, with "=" or without.
        if [ "$before" = = ] || _caskade_values "$before" >/dev/null; then
            continue
        fi
        case ${COMP_WORDS[i]} in
        -* | =) ;;
        *) count=$((count + 1)) ;;
        esac
    done
    echo "$count"
}

# Fill COMPREPLY with directories ($1 = -d) or files ($1 = -f).
_caskade_paths() {
    local line
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(compgen "$1" -- "$2")
}

_caskade_words() {
    local line
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(compgen -W "$1" -- "$2")
}

# The arguments that are no options: DIR first, then what the command takes.
_caskade_arguments() {
    local command=$1 word=$2 count
    count=$(_caskade_word_count)
    case $command in
    help) _caskade_words "$_caskade_commands" "$word" ;;
    region)
        if [ "$count" -eq 0 ]; then
            _caskade_words 'list drop' "$word"
        else
            _caskade_paths -f "${word:-/dev/shm/caskade-}"
        fi
        ;;
    run)
        if [ "$count" -eq 0 ]; then
            _caskade_words 'build dump info' "$word"
        else
            _caskade_paths -f "$word"
        fi
        ;;
    import | export)
        if [ "$count" -eq 0 ]; then
            _caskade_words bitcask "$word"
        else
            _caskade_paths -d "$word"
        fi
        ;;
    backup | convert | repair)
        if [ "$count" -le 1 ]; then
            _caskade_paths -d "$word"
        fi
        ;;
    config)
        if [ "$count" -eq 0 ]; then
            _caskade_paths -d "$word"
        else
            _caskade_words "$_caskade_settings" "$word"
        fi
        ;;
    load | ingest)
        if [ "$count" -eq 0 ]; then
            _caskade_paths -d "$word"
        else
            _caskade_paths -f "$word"
        fi
        ;;
    *)
        if [ "$count" -eq 0 ]; then
            _caskade_paths -d "$word"
        fi
        ;;
    esac
}

_caskade() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]:-} values
    COMPREPLY=()

    if [ "$COMP_CWORD" -eq 1 ]; then
        _caskade_words "$_caskade_commands --help --version" "$word"
        return
    fi
    # --format=ts: bash splits at "=", which stands before the word then.
    if [ "$before" = = ] && [ "$COMP_CWORD" -gt 2 ]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    elif [ "$word" = = ]; then
        word=
    fi
    if values=$(_caskade_values "$before"); then
        case $values in
        -d) _caskade_paths -d "$word" ;;
        *) _caskade_words "$values" "$word" ;;
        esac
        return
    fi
    case $word in
    -*) _caskade_words "$(_caskade_options "$command")" "$word" ;;
    *) _caskade_arguments "$command" "$word" ;;
    esac
}

complete -F _caskade caskade

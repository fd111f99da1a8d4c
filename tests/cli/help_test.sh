#!/bin/bash
# --help, the manual pages and the completion agree: each command, each option.
. "$(dirname "$0")/cli.sh"
source_dir=${CASK_SOURCE_DIR:?give the source directory}
man=$source_dir/docs/man
# shellcheck source=/dev/null
. "$source_dir/cli/completion/caskade.bash"

expect 0 help
cp out overview
expect 0 --help
same out overview
expect 0 help help
same out overview
expect 0 --version
version=$(sed -n 's/.*CASK_VERSION_STRING "\(.*\)"/\1/p' \
    "$source_dir/include/caskade.h")
output_is "caskade $version\n"
expect 0 -V
output_is "caskade $version\n"

# The commands that the overview lists.
commands=$(sed -n 's/^  \([a-z-]*\)  .*/\1/p' overview | grep -v '^caskade$')
is "$(echo "$commands" | wc -l)" 29 'number of commands'

# What the completion offers for the words "$@".
complete_words() {
    COMP_WORDS=(caskade "$@")
    COMP_CWORD=$#
    _caskade 2>/dev/null
    printf '%s\n' "${COMPREPLY[@]}" | sort
}

is "$(complete_words '' | grep -v '^--')" "$(echo "$commands" | sort)" \
    'completed commands'
is "$(complete_words --)" "$(printf -- '--help\n--version')" \
    'completed options'
is "$(complete_words st)" stat 'completion of st'

mkdir -p offered/within
declare -A seen # options with their arguments
for command in $commands; do
    grep -q "caskade-$command 1\|Cm $command\$" "$man/caskade.1" ||
        fail "caskade.1 does not name $command"
    [ "$command" != help ] || continue

    page=$man/caskade-$command.1
    expect 0 "$command" --help
    cp out help
    expect 0 help "$command"
    same out help
    expect 0 "$command" -h
    same out help
    output_says "^Usage: caskade $command "
    output_says '^Examples:$'
    output_says "^  (.*\| )?caskade $command "
    is "$(sed '1,/^Examples:$/d; /^  .*caskade /d; /^ *$/d' help)" '' \
        "what begins with no command in the examples of $command --help"
    is "$(awk 'length > 80' help)" '' "lines of $command --help over 80"

    # Options: at the start of a line, maybe after a short one.
    options=$(sed -nE 's/^ +(-[a-zA-Z], )? *(--[a-z-]+).*/\2/p' help | sort -u)
    is "$(complete_words "$command" --)" "$options" \
        "completed options of $command"
    for option in $options; do
        grep -q "^\.It .*Fl -${option#--}\( \|\$\)" "$page" ||
            fail "caskade-$command.1 does not explain $option"
    done
    shorts=$(sed -nE 's/^ +-([a-zA-Z]), .*/\1/p' help)
    for short in $shorts; do
        grep -q "^\.It Fl $short " "$page" ||
            fail "caskade-$command.1 does not explain -$short"
    done
    # And the other way round: nothing that is gone.
    while read -r option; do
        echo "$options" | grep -qx -- "$option" ||
            fail "caskade-$command.1 explains $option, which is gone"
    done < <(sed -nE 's/^\.It (Fl [^-].* , )?Fl -([a-z-]+).*/--\2/p' "$page")
    # What an option takes is a directory only if --help says so.
    while read -r option argument; do
        [ -z "${seen[$option=$argument]:-}" ] || continue
        seen[$option=$argument]=yes
        case $argument in
        DIR | EARLIER) want=offered/within ;;
        *) want= ;;
        esac
        is "$(complete_words "$command" "$option" offered/)" "$want" \
            "completed argument of $command $option"
    done < <(sed -nE 's/^ +(-[a-zA-Z], )?.*(--[a-z-]+)=([^ ]+).*/\2 \3/p' help)
    for section in NAME SYNOPSIS DESCRIPTION OPTIONS 'EXIT STATUS' EXAMPLES \
        'SEE ALSO'; do
        grep -q "^\.Sh $section\$" "$page" ||
            fail "caskade-$command.1 has no section $section"
    done
done

# The words of options that have a fixed choice are those of --help.
is "$(complete_words dump --format '')" "$(printf 'hex\njsonl\ntsv')" \
    'completed formats'
is "$(complete_words put --sync '')" "$(printf 'commit\ninterval\nnone')" \
    'completed policies'
is "$(complete_words put --sync = c)" commit 'completion after --sync='
mkdir -p here/store
is "$(complete_words load --format = tsv here/)" here/store \
    'completed directory behind an option with ='
is "$(complete_words get here/)" here/store 'completed directory'
touch here/file.tsv
is "$(complete_words load store here/f)" here/file.tsv 'completed file'
is "$(complete_words import '')" bitcask 'completion of import'
is "$(complete_words export bitcask here/)" here/store \
    'completion of export bitcask'
is "$(complete_words region '')" "$(printf 'drop\nlist')" \
    'completion of region'
is "$(complete_words run '')" "$(printf 'build\ndump\ninfo')" \
    'completion of run'
is "$(complete_words run info here/f)" here/file.tsv 'completed run'

# Every page is well-formed, and every function has its place.
for page in "$man"/*.[13]; do
    name=$(basename "$page")
    if command -v mandoc >/dev/null; then
        problems=$(mandoc -Tlint -Wwarning "$page" 2>&1 |
            grep -v 'outdated mandoc.db')
        is "$problems" '' "what mandoc says about $name"
    fi
    # mdoc takes the quotes of a line for its own and drops them.
    is "$(grep -nE '^\.(Dl|D1|Ql|Li) .*"' "$page")" '' "bare quotes in $name"
done
for function in $(cat "$source_dir"/include/caskade.h \
    "$source_dir"/include/caskade/*.h | grep -oE '\bcask_[a-z_]+\(' |
    tr -d '(' | sort -u); do
    case $function in
    cask_db) continue ;;
    esac
    grep -q "Fn $function\( \|\$\)" "$man/caskade.3" ||
        fail "caskade.3 does not name $function"
done
# The example of caskade.3 is C.
sed -n '/^\.Bd -literal/,/^\.Ed/p' "$man/caskade.3" | grep -v '^\.[BE]d' |
    sed 's/\\en/\\n/' >example.c
"${CC:-cc}" -fsyntax-only -Wall -Werror -I "$source_dir/include" example.c ||
    fail 'the example of caskade.3 does not compile'

finish

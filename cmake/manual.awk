# Makes a manual page. `@options HEADING@` becomes the options of that table of docs/reference/options.md (options=FILE), `@commands@` the
# commands that `tally --help` prints (commands=FILE), and @VERSION@ the version (version=…).
function roff(text) {
    gsub(/\\\|/, "|", text)
    gsub(/\\/, "\\e", text)
    text = gensub_links(text)
    gsub(/`/, "", text)
    gsub(/-/, "\\-", text)
    gsub(/…/, "...", text)
    sub(/^[.']/, "\\\\\\&&", text)
    return text
}
function gensub_links(text,    before, label) { # [label](target) → label
    while (match(text, /\[[^]]*\]\([^)]*\)/)) {
        before = substr(text, 1, RSTART - 1)
        label = substr(text, RSTART + 1, index(substr(text, RSTART), "](") - 2)
        text = before label substr(text, RSTART + RLENGTH)
    }
    return text
}
function print_options(heading,    line, cells, inside, found, n) {
    while ((getline line < options) > 0) {
        if (line ~ /^## /)
            inside = index(line, "## " heading " (") == 1
        if (!inside || line !~ /^\| `/)
            continue
        n = split(line, cells, / \| */)
        sub(/^\| `/, "", cells[1])
        sub(/`.*/, "", cells[1])
        printf ".TP\n\\fB%s\\fR=\\fI%s\\fR\n%s\n", roff(cells[1]), roff(cells[3]), roff(sentence(cells, n))
        found++
    }
    close(options)
    if (!found) {
        print "manual.awk: " options " has no options under " heading > "/dev/stderr"
        exit 1
    }
}
function sentence(cells, n,    text) {
    text = cells[4]
    sub(/ \|$/, "", text)
    if (cells[2] != "")
        text = text (cells[2] == "required" ? " It is required." : " Default: " cells[2] ".")
    if (n > 4 && cells[5] !~ /^[ |]*$/) {
        sub(/ \|$/, "", cells[5])
        text = text " Of: " cells[5] "."
    }
    return text
}
function print_commands(    line, name) {
    while ((getline line < commands) > 0)
        if (line ~ /^  [a-z]/) {
            sub(/^  /, "", line)
            name = line
            sub(/ .*/, "", name)
            sub(/^[^ ]+ +/, "", line)
            printf ".TP\n.B %s\n%s\n", roff(name), roff(line)
        }
    close(commands)
}
/^@options .*@$/ { sub(/^@options /, ""); sub(/@$/, ""); print_options($0); next }
/^@commands@$/ { print_commands(); next }
{ gsub(/@VERSION@/, version); print }

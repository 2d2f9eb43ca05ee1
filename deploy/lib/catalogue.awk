# Debian control paragraphs -> one JSON object a line. Works on bytes (mawk) and on characters (gawk).

# The text as the inside of a JSON string.
function quoted(text) {
    gsub(/\\/, "&&", text)
    gsub(/"/, "\\\"", text)
    gsub(/\t/, "\\t", text)
    gsub(/[\001-\010\013-\037]/, " ", text)
    return text
}

# One record a key: the first wins when two archives describe the same package.
function finish(    key, value) {
    key = name ":" architecture ":" version
    if (name == "" || key in seen) return
    seen[key] = 1
    value = "{\"version\":\"" quoted(version) "\",\"architecture\":\"" quoted(architecture) \
        "\",\"size\":" size ",\"description\":\"" quoted(description) "\"}"
    print "{\"key\":\"" quoted(key) "\",\"value\":\"" quoted(value) "\"}"
    name = version = architecture = description = ""
    size = 0
}

BEGIN { size = 0 }
/^$/ { finish() }
/^Package: / { name = substr($0, 10) }
/^Version: / { version = substr($0, 10) }
/^Architecture: / { architecture = substr($0, 15) }
/^Size: / { size = $2 + 0 }
/^Description(-en)?: / { description = $0; sub(/^Description(-en)?: /, "", description) }
END { finish() }

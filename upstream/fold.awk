# SPDX-License-Identifier: GPL-2.0
#
# Folds Rust comments to the kernel's 100 columns: what is too much of a line goes to the front of the next
# one of its paragraph. Tables and code are left as they are.

function prefix_of(line) {
	return match(line, /^ *\/\/[\/!]? /) ? substr(line, 1, RLENGTH) : ""
}

function flush_line() {
	if (has)
		print held
	has = 0
}

# Prints what fits of `held`, and leaves the rest in `rest`.
function cut(    at) {
	at = 100
	while (at > length(prefix) && substr(held, at + 1, 1) != " ")
		at--
	if (at <= length(prefix))
		return 0
	rest = substr(held, at + 2)
	sub(/ +$/, "", held)
	print substr(held, 1, at)
	return 1
}

{
	prefix = ""
	if (has) {
		prefix = prefix_of(held)
		while (length(held) > 100 && cut()) {
			# Lists are indented where they go on.
			indent = match(substr(held, length(prefix) + 1), /^(- |[0-9]+\. | +)/) ? RLENGTH : 0
			lead = prefix sprintf("%" indent "s", "")
			body = substr($0, length(prefix) + 1)
			if (prefix_of($0) == prefix && length($0) > length(prefix) && body !~ /^ *(- |\||#|[0-9]+\. |```|SAFETY|CAST|INVARIANT)/) {
				sub(/^ +/, "", body)
				$0 = lead rest " " body
				has = 0
				break
			}
			held = lead rest
		}
		flush_line()
	}
	if ($0 ~ /^ *\/\/[\/!] ```/)
		is_code = !is_code
	if (!is_code && prefix_of($0) != "" && $0 !~ /^ *\/\/[\/!]? \|/) {
		held = $0
		has = 1
	} else
		print
}

END {
	prefix = prefix_of(held)
	while (has && length(held) > 100 && cut())
		held = prefix rest
	flush_line()
}

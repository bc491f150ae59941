# SPDX-License-Identifier: GPL-2.0
#
# awk -v at=FOLDER: what a Rust file has not yet in an early patch, beside what the without-*.sed take out. The second
# file is what these have left of the first. Modules go that are not in the folder, which a later patch brings; and
# imports of what only those lines used that have gone.

# Notes the words of a line of code.
function note(line, words,    count, i, part) {
	sub(/\/\/.*/, "", line)
	count = split(line, part, /[^A-Za-z0-9_]+/)
	for (i = 1; i <= count; i++)
		words[part[i]]
}

# Whether the import of PATH stays.
function stays(path,    name) {
	name = path
	if (sub(/^self::/, "", name) && sub(/::.*/, "", name) && name in later)
		return 0
	name = path
	sub(/::self$/, "", name)
	sub(/^.*(::| as )/, "", name)
	return is_public || !(name in before) || name in now
}

# What stays of the tree that begins at POS of TEXT, below PATH.
function what_stays(path,    name, items, item, count) {
	match(substr(text, pos), /^[^{},]*/)
	name = substr(text, pos, RLENGTH)
	pos += RLENGTH
	if (substr(text, pos, 1) != "{") {
		if (stays(path name))
			return name
		has_lost = 1
		return ""
	}
	while (substr(text, pos++, 1) != "}") {
		if (substr(text, pos, 1) == "}")
			continue
		item = what_stays(path name)
		if (item != "")
			items = items (count++ ? ",\n" : "") item
	}
	if (count > 1)
		return name "{\n" items "," (path == "" ? ending : " //") "\n}"
	name = name items
	sub(/::self$/, "", name)
	return count ? name : ""
}

# What stays of a statement, which is TEXT.
function use_that_stays(    whole, visibility, left) {
	whole = text
	# Lists stand below each other for a comment that ends them, or one in them.
	ending = text ~ /\/\/\n *\};\n$/ ? " //" : ""
	gsub(/ *\/\/[^\n]*/, "", text)
	gsub(/[ \n]+/, " ", text)
	gsub(/ *\{ */, "{", text)
	gsub(/ *\} */, "}", text)
	gsub(/ *, */, ",", text)
	sub(/;.*/, "", text)
	match(text, /^ *([a-z()_: ]* )?use /)
	visibility = substr(text, 1, RLENGTH)
	text = substr(text, RLENGTH + 1)
	is_public = visibility ~ /pub/
	pos = 1
	has_lost = 0
	left = what_stays("")
	return !has_lost ? whole : left == "" ? "" : visibility left ";\n"
}

FNR == 1 { in_use = 0 }
/^ *(pub(\([a-z_: ]*\))? )?use / { in_use = 1 }
FNR != NR { line[++lines] = $0 }
!in_use && FNR == NR { note($0, before) }
!in_use && FNR != NR { note($0, now) }
/;/ { in_use = 0 }

END {
	for (i = 1; i <= lines; i++) {
		if (line[i] !~ /^(pub )?mod [a-z_]+;$/)
			continue
		name = line[i]
		gsub(/^.*mod |;$/, "", name)
		if ((getline nothing < (at "/" name ".rs")) >= 0)
			continue
		later[name]
		# With its attributes.
		for (j = i; j == i || line[j] ~ /^#\[/; j--)
			gone[j]
	}
	for (i = 1; i <= lines; i++) {
		if (i in gone)
			continue
		if (line[i] !~ /^ *(pub(\([a-z_: ]*\))? )?use /) {
			print line[i]
			continue
		}
		text = line[i] "\n"
		while (line[i] !~ /;/)
			text = text line[++i] "\n"
		printf "%s", use_that_stays()
	}
}

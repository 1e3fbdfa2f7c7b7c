# SPDX-License-Identifier: GPL-2.0
# Makes tcp_keepalive_netlink(7) from the protocol's spec. Of YAML it knows what the spec is written in: keys, lists,
# texts that are folded or as they are; anything else is an error.

function die(why)
{
	printf "%s:%d: %s\n", FILENAME, FNR, why >"/dev/stderr"
	failed = 1
	exit 1
}

function push(at, path)
{
	depth++
	indent_of[depth] = at
	path_of[depth] = path
}

function store(path, text)
{
	sub(/^"/, "", text)
	sub(/"$/, "", text)
	value[path] = text
}

{
	line = $0
	match(line, /^ */)
	indent = RLENGTH
	sub(/^ */, "", line)
}

in_text != "" && (line == "" || indent > text_indent) {
	if (line == "")
		value[in_text] = value[in_text] "\n"
	else
		value[in_text] = value[in_text] (value[in_text] ~ /(^|\n)$/ ? "" : " ") line
	next
}

{ in_text = "" }

line == "" || line ~ /^#/ { next }

{
	while (depth > 0 && indent <= indent_of[depth])
		depth--
	parent = depth > 0 ? path_of[depth] : ""
}

line == "-" {
	push(indent, parent "/" ++count[parent])
	next
}

line ~ /^- [a-z0-9-]+$/ {
	store(parent "/" ++count[parent], substr(line, 3))
	next
}

line ~ /^[a-z-]+:( |$)/ {
	key = line
	sub(/:.*/, "", key)
	path = parent "/" key
	sub(/^[a-z-]+: */, "", line)
	if (line == "" || line == "{}") {
		push(indent, path)
	} else if (line == ">-" || line == "|") {
		in_text = path
		text_indent = indent
	} else if (line ~ /^[[{&*!>|]/) {
		die("what is \"" line "\"?")
	} else {
		store(path, line)
	}
	next
}

{ die("what is \"" line "\"?") }

# A request of its own, which no text may begin with, is none.
function roff(text)
{
	gsub(/\\/, "\\e", text)
	if (text ~ /^[.']/)
		text = "\\&" text
	return text
}

# Sentences in lines of their own.
function sentences(text)
{
	sub(/\n+$/, "", text)
	while (match(text, /\. [A-Z0-9]/)) {
		print roff(substr(text, 1, RSTART))
		text = substr(text, RSTART + 2)
	}
	print roff(text)
}

# Whole sentences; a blank line begins a paragraph.
function say(text,	n, i, paragraph)
{
	sub(/\n+$/, "", text)
	n = split(text, paragraph, /\n+/)
	for (i = 1; i <= n; i++) {
		if (i > 1)
			print ".Pp"
		sentences(toupper(substr(paragraph[i], 1, 1)) substr(paragraph[i], 2) (paragraph[i] ~ /\.$/ ? "" : "."))
	}
}

# "time , intvl" as arguments of a macro
function words(path,	i, text)
{
	for (i = 1; i <= count[path]; i++)
		text = text (i > 1 ? " , " : "") value[path "/" i]
	return text
}

function attributes(what, path)
{
	if (count[path "/attributes"]) {
		print ".br"
		print what ":"
		print ".Sy " words(path "/attributes")
	}
}

# A bound may be one of the constants.
function bound(word)
{
	return word in constant ? constant[word] : word
}

function checks(path,	text)
{
	if (path "/min" in value)
		text = text ", " bound(value[path "/min"]) " or more"
	if (path "/max" in value)
		text = text ", " bound(value[path "/max"]) " or less"
	if (path "/max-len" in value)
		text = text ", " bound(value[path "/max-len"]) " bytes at most"
	return text
}

function operation(path, number,	way, n, i)
{
	print ".It Sy " value[path "/name"] " Pq " number
	say(value[path "/doc"])
	print ".Pp"
	print "Attributes:"
	print ".Sy " value[path "/attribute-set"]
	n = split("do dump", way)
	for (i = 1; i <= n; i++) {
		attributes("request", path "/" way[i] "/request")
		attributes("reply", path "/" way[i] "/reply")
	}
	attributes("group " value[path "/mcgrp"], path "/event")
}

function attribute(path, number,	type)
{
	type = value[path "/type"]
	if (path "/nested-attributes" in value)
		type = type " of " value[path "/nested-attributes"]
	if (path "/enum" in value)
		type = type ", " value[path "/enum"]
	if (value[path "/multi-attr"] == "true")
		type = type ", may come often"
	print ".It Sy " value[path "/name"] " Pq " number ", " type checks(path "/checks")
	sentences(value[path "/doc"])
}

function enumeration(path,	n, i, entry)
{
	print ".Ss " value[path "/name"] ": " value[path "/doc"]
	print ".Bl -tag -width Ds -compact"
	n = count[path "/entries"]
	for (i = 1; i <= n; i++) {
		entry = path "/entries/" i
		print ".It Sy " value[entry "/name"] " Pq " i - 1
		sentences(value[entry "/doc"])
	}
	print ".El"
}

END {
	if (failed)
		exit 1
	for (i = 1; i <= count["/definitions"]; i++)
		if (value["/definitions/" i "/type"] == "const")
			constant[value["/definitions/" i "/name"]] = value["/definitions/" i "/value"]

	print ".\\\" SPDX-License-Identifier: GPL-2.0"
	print ".\\\" Made from kmod/tcp_keepalive.yaml: make -C ctl man"
	print ".Dd November 26, 2026"
	print ".Dt TCP_KEEPALIVE_NETLINK 7"
	print ".Os"
	print ".Sh NAME"
	print ".Nm tcp_keepalive_netlink"
	print ".Nd netlink protocol of the kernel module tcp_keepalive"
	print ".Sh SYNOPSIS"
	print ".In linux/tcp_keepalive.h"
	print ".Sh DESCRIPTION"
	print "What programs ask the module"
	print ".Xr tcp_keepalive 4"
	print "over generic netlink: the family is"
	print ".Sy " value["/name"] " ,"
	print "version 1."
	print "The events of a network namespace reach those who listen there to its"
	print "multicast groups,"
	for (i = 1; i <= count["/mcast-groups/list"]; i++)
		print ".Sy " value["/mcast-groups/list/" i "/name"] (i < count["/mcast-groups/list"] ? "\nand" : " .")
	print ".Pp"
	say(value["/doc"])
	print ".Ss Names"
	print "The header has all of them in upper case and with"
	print ".Sq _"
	print "for"
	print ".Sq - :"
	print "the operation policy-get is"
	print ".Dv TCP_KEEPALIVE_CMD_POLICY_GET ,"
	print "the attribute netns-ino of policy"
	print ".Dv TCP_KEEPALIVE_A_POLICY_NETNS_INO ,"
	print "the value alive of status"
	print ".Dv TCP_KEEPALIVE_STATUS_ALIVE ,"
	print "the constant time-max"
	print ".Dv TCP_KEEPALIVE_TIME_MAX ."
	print "Numbers are in the byte order of the machine, if nothing else is said."
	print ".Sh OPERATIONS"
	print ".Bl -tag -width Ds"
	for (i = 1; i <= count["/operations/list"]; i++)
		operation("/operations/list/" i, i)
	print ".El"
	print ".Sh ATTRIBUTES"
	for (i = 1; i <= count["/attribute-sets"]; i++) {
		set = "/attribute-sets/" i
		print ".Ss " value[set "/name"]
		print ".Bl -tag -width Ds -compact"
		for (j = 1; j <= count[set "/attributes"]; j++)
			attribute(set "/attributes/" j, j)
		print ".El"
	}
	print ".Sh VALUES"
	print ".Bl -tag -width Ds -compact"
	for (i = 1; i <= count["/definitions"]; i++)
		if (value["/definitions/" i "/type"] == "const")
			print ".It Sy " value["/definitions/" i "/name"] "\n" value["/definitions/" i "/value"]
	print ".El"
	for (i = 1; i <= count["/definitions"]; i++)
		if (value["/definitions/" i "/type"] == "enum")
			enumeration("/definitions/" i)
	print ".Sh FILES"
	print ".Bl -tag -width Ds -compact"
	print ".It Pa /usr/local/share/tcp-keepalive/tcp_keepalive.yaml"
	print "the spec that this page is made from; the kernel's"
	print ".Pa tools/net/ynl"
	print "drives the module with it"
	print ".It Pa /usr/local/include/linux/tcp_keepalive.h"
	print "the header"
	print ".El"
	print ".Sh SEE ALSO"
	print ".Xr tcp_keepalive 4 ,"
	print ".Xr netlink 7 ,"
	print ".Xr kactl 8"
}

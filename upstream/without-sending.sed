# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that brings sending and replying adds to files of patches before it.

# Of the root.
s/, which can \[`reply`\]\(Sender::reply\)\././
/^\/\/! - Messages that answer nobody go out/,/^\/\/!   \[`send_filtered`\]/d
/^\/\/! # Examples$/,/^\/\/! # Unloading$/{
	/^\/\/! # Unloading$/!d
}
s/^mod parms;$/#[expect(dead_code, reason = "for replies, which the next patch adds")]\n&/

# Of the core.
s/^(\/\/! - `add\(\)` and `del\(\)`, .*);$/\1./
/^\/\/! - `send_mult\(\)`, with/,/^\/\/! - `may_be_overwritten/d
/^\/\/\/ (Sends (a message, where|a reply to who|messages: the C)|Whether (there is a group of|nobody needs the netlink))/,/^\}$/d
/^\/\/\/ Lays a message out as C wants it/,$d
/^    alloc::Flags,$/{
	N
	s/\n    prelude::\*, \/\/$//
}

# Of what handlers get.
/^    \/\/\/ (Counts (a reply that was|what became of a reply)|What is used\.|Where the message lies|Whether the id has a group)/,/^    \}$/d
/^    \/\/\/ Replies to `message`: same id/,/^\}$/{
	/^\}$/!d
}
s/^    in_use: &'a InUse,$/    #[expect(dead_code, reason = "the next patch counts replies by it")]\n&/
s/^(\/\/! Who sent a message), and answering it\.$/\1./
s/^(\/\/\/ A netlink socket: that of a .*), or of a \[`Listener`\].*/\1./
/^\/\/\/ What a service does with a message\.$/,/^pub trait /{
	/^(\/\/\/ What|pub trait)/!d
}

// SPDX-License-Identifier: GPL-2.0

//! Examples for the man pages: a command line and what it is for. A test sees that the command line
//! accepts them.

/// The examples of a subcommand.
pub fn of(command: &str) -> &'static [(&'static str, &'static str)] {
    match command {
        "cnctl" => &[
            ("cnctl list", "Show which services are registered."),
            (
                "cnctl ping cn_echo",
                "See whether a service answers, and how fast.",
            ),
            (
                "cnctl proc --json | jq .argv",
                "Hand process events to another program.",
            ),
        ],
        "list" => &[
            ("cnctl list", "Show which services are registered."),
            (
                "cnctl list --known",
                "Show the names that ids can be written by.",
            ),
        ],
        "send" => &[
            (
                "cnctl send 16:1 hello --wait",
                "Send a text to the echo service, and show its reply.",
            ),
            (
                "cnctl send w1 --hex 060000000000000000000000 --wait --data hex",
                "Ask the 1-wire driver for its bus masters: a struct w1_netlink_msg of the type W1_LIST_MASTERS.",
            ),
            (
                "cnctl send 20:1 set:it --outcome",
                "Ask a service to do something, and see whether it did.",
            ),
            (
                "date | cnctl send 40:1 --file -",
                "Send what another program writes.",
            ),
        ],
        "ping" => &[
            (
                "cnctl ping cn_echo",
                "Send a message a second, until Ctrl-C.",
            ),
            (
                "cnctl ping 16:1 --count 1000 --interval 0 --quiet",
                "Send 1000 messages, each when the reply to the one before is there, and show the summary only.",
            ),
            (
                "cnctl ping 16:1 --sweep 0..16364 --interval 0",
                "Try messages of every order of size.",
            ),
        ],
        "listen" => &[
            (
                "cnctl listen 14",
                "Show what the connector's test module broadcasts.",
            ),
            (
                "cnctl listen 14 3 --json --count 100",
                "Show a hundred messages to two groups, for a program.",
            ),
            (
                "cnctl listen 8 --buffer 16777216 --data none",
                "Lose less of what comes fast.",
            ),
        ],
        "proc" => &[
            ("cnctl proc", "Show what all processes do, until Ctrl-C."),
            (
                "cnctl proc --event exec,nonzero-exit",
                "Show which programs are executed, and which fail.",
            ),
            (
                "cnctl proc --for 60 --quiet",
                "Count the events of a minute by program.",
            ),
        ],
        "watch" => &[
            (
                "cnctl watch",
                "Show every service, and when one comes or goes.",
            ),
            (
                "cnctl watch 14 16:1-9",
                "Show those of one idx, and nine of another.",
            ),
        ],
        "sockets" => &[
            ("cnctl sockets", "Show who listens to which groups."),
            (
                "cnctl sockets --json | jq 'select(.drops > 0)'",
                "Show who has lost messages.",
            ),
        ],
        "bench" => &[
            (
                "cnctl bench 16:1",
                "Measure for three seconds, on one thread.",
            ),
            (
                "cnctl bench 16:1 --threads 4 --own-sockets --size 1024",
                "Measure four threads with sockets of their own, and larger messages.",
            ),
        ],
        _ => &[],
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the command line accepts, refuses and says, on any machine: nothing here needs a kernel with
//! a connector. `TRYCMD=overwrite cargo test -p cnctl --test command_line` writes down what is said
//! now; look at the difference before you commit it.

use std::{
    ffi::OsString,
    fs::File,
    io::{Read, Write},
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    unistd::pipe,
};

fn cnctl(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cnctl"));
    command.args(words).stdin(Stdio::null());
    command
}

fn run(words: &[&str]) -> Output {
    cnctl(words).output().expect("it can be started")
}

#[test]
fn sessions_go_as_they_are_written_down() {
    trycmd::TestCases::new().case("tests/sessions/*.md");
}

/// What the command line refuses it says on one line, before anything is done. Which numbers that are,
/// for which option, is tested where options are read.
#[test]
fn numbers_that_nothing_can_be_done_with_are_named_with_their_option() {
    for (words, number) in [
        (&["send", "77:77", "--seq"][..], "4294967296"),
        (&["ping", "77:77", "--interval"], "1e19"),
        (&["listen", "1", "--buffer"], "99999999999999999999999"),
        (&["bench", "77:77", "--time"], "NaN"),
        (&["proc", "--pid"], "0"),
    ] {
        let output = run(&[words, &[number]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {errors}");
        let option = words.last().copied().unwrap_or_default();
        let named = format!("error: invalid value '{number}' for '{option} ");
        assert!(errors.starts_with(&named), "{words:?}: {errors}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

/// In words of ours, whichever option it is, and with what would have been right.
#[test]
fn numbers_and_names_that_are_none_are_refused_with_what_was_expected() {
    for option in [
        &["ping", "77:77", "--count"][..],
        &["listen", "1", "--count"],
        &["proc", "--count"],
        &["watch", "--count"],
        &["bench", "77:77", "--count"],
        &["bench", "77:77", "--threads"],
        &["send", "77:77", "--seq"],
        &["ping", "77:77", "--size"],
    ] {
        for value in ["1e19", "NaN", "inf", "-1", "", "18446744073709551616"] {
            let output = run(&[option, &[value]].concat());
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{option:?}: {errors}");
            assert!(errors.contains(": expected "), "{option:?}: {errors}");
        }
    }
    for option in ["--user", "--command", "--cgroup"] {
        let output = run(&["proc", option, ""]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains("expected a name"), "{option}: {errors}");
    }
}

/// What is no text for this program is none for the kernel either.
#[test]
fn data_and_names_need_not_be_utf8() {
    let too_much = OsString::from_vec(vec![0xff; 16_365]);
    let output = cnctl(&["send", "77:77"]).arg(too_much).output();
    let errors = String::from_utf8(output.expect("it can be started").stderr);
    let errors = errors.expect("complaints are text");
    assert!(errors.contains("16365 bytes of data are more"), "{errors}");

    let user = OsString::from_vec(b"\xff\x1b".to_vec());
    let output = cnctl(&["proc", "--user"]).arg(user).output();
    let errors = String::from_utf8(output.expect("it can be started").stderr);
    let errors = errors.expect("complaints are text");
    assert!(errors.contains("--user '\\xff\\u{1b}': "), "{errors}");
}

#[test]
fn mistakes_and_help_have_colours_where_they_are_wanted() {
    for (words, coloured) in [
        (&["frobnicate"][..], false),
        (&["frobnicate", "--color", "always"], true),
        (&["--color=always", "ping", "--count", "0"], true),
        (&["--color=always", "ping", "--color", "never"], false),
        (&["send", "77:77", "a", "b", "--", "--color=always"], false),
        (&["--help", "--color=always"], true),
        (&["--help", "--color=never"], false),
    ] {
        let output = run(words);
        let said = [output.stdout, output.stderr].concat();
        assert_eq!(said.contains(&0x1b), coloured, "{words:?}");
    }
}

#[test]
fn help_that_cannot_be_written_is_an_error() {
    for words in [&["--help"][..], &["--version"], &["proc", "-h"]] {
        let full = File::options().write(true).open("/dev/full");
        let output = cnctl(words)
            .stdout(full.expect("it can be opened"))
            .output()
            .expect("it can be started");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {errors}");
        assert!(errors.contains("No space left"), "{words:?}: {errors}");
    }
}

/// A pipe whose writing end is non-blocking, as a parent may have made it, and that is full.
fn full_pipe() -> (File, OwnedFd) {
    let (reader, writer) = pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("it can be set");
    let mut file = File::from(writer.try_clone().expect("a descriptor"));
    while file.write(&[b'.'; 512]).is_ok() {}
    (reader.into(), writer)
}

#[test]
fn results_wait_for_room_in_a_non_blocking_pipe() {
    let (mut reader, writer) = full_pipe();
    let child = cnctl(&["list", "--known", "--json"]).stdout(writer).spawn();
    let mut child = child.expect("it can be started");
    // If it gave up because the pipe is full, it would by now.
    thread::sleep(Duration::from_millis(300));
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("it can be read");
    assert!(child.wait().expect("it ends").success());
    let lines: Vec<_> = text.trim_start_matches('.').lines().collect();
    assert!(lines.len() > 10, "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with('{') && line.ends_with('}'))
    );
}

#[test]
fn complaints_wait_for_room_in_a_non_blocking_pipe() {
    let (mut reader, writer) = full_pipe();
    let child = cnctl(&["send", "1:1", "-f", "/nowhere"])
        .stderr(writer)
        .spawn();
    let mut child = child.expect("it can be started");
    thread::sleep(Duration::from_millis(300));
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("it can be read");
    assert_eq!(child.wait().expect("it ends").code(), Some(2));
    assert!(text.contains("cnctl send: /nowhere: "), "{text:?}");
}

#[test]
fn data_is_waited_for_on_a_non_blocking_input() {
    let (reader, writer) = pipe().expect("a pipe");
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("it can be set");
    // More than can be sent, so that it comes no further than that, whatever the kernel.
    let child = cnctl(&["send", "1:1", "-f", "-"])
        .stdin(reader)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started");
    thread::sleep(Duration::from_millis(300));
    File::from(writer).write_all(&[0; 20_000]).ok();
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("-: more data than the 16364 bytes"),
        "{errors}"
    );
}

#[test]
fn a_closed_standard_output_is_no_panic() {
    let output = Command::new("sh")
        .args(["-c", "exec \"$0\" list --known >&-"])
        .arg(env!("CARGO_BIN_EXE_cnctl"))
        .output()
        .expect("sh can be started");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

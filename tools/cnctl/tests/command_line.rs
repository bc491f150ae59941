// SPDX-License-Identifier: GPL-2.0

//! What the command line accepts, refuses and says, on any machine: nothing here needs a kernel with
//! a connector. `TRYCMD=overwrite cargo test -p cnctl --test command_line` writes down what is said
//! now; look at the difference before you commit it.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
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

/// Every option that takes a number, with numbers that nothing can be done with, and with the
/// largest that something can be.
#[test]
fn numbers_are_refused_or_taken_and_never_a_panic() {
    let options: [(&[&str], &str); 19] = [
        (&["send", "77:77", "x"], "--seq"),
        (&["send", "77:77", "x"], "--ack"),
        (&["send", "77:77", "x"], "--flags"),
        (&["send", "77:77", "x"], "--timeout"),
        (&["ping", "77:77"], "--count"),
        (&["ping", "77:77"], "--size"),
        (&["ping", "77:77"], "--interval"),
        (&["ping", "77:77"], "--timeout"),
        (&["listen", "1"], "--count"),
        (&["listen", "1"], "--buffer"),
        (&["proc"], "--count"),
        (&["proc"], "--buffer"),
        (&["proc"], "--for"),
        (&["watch"], "--group"),
        (&["watch"], "--count"),
        (&["bench", "77:77"], "--size"),
        (&["bench", "77:77"], "--time"),
        (&["bench", "77:77"], "--count"),
        (&["bench", "77:77"], "--threads"),
    ];
    for (command, option) in options {
        for number in [
            "1e19",
            "NaN",
            "inf",
            "-inf",
            "-1",
            "99999999999999999999999",
            "",
        ] {
            let option = format!("{option}={number}");
            let words = [command, &[&option]].concat();
            let output = run(&words);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{words:?}: {errors}");
            assert!(errors.contains("invalid value"), "{words:?}: {errors}");
            assert!(!errors.contains("panicked"), "{words:?}: {errors}");
        }
    }
}

/// The command is then that of a user who only wants to know whether it is understood.
#[test]
fn the_largest_numbers_are_understood() {
    for words in [
        &["send", "4294967295:4294967295", "--seq", "4294967295"][..],
        &["send", "1:1", "--ack", "0xffffffff", "--flags", "65535"],
        &["ping", "1:1", "-i", "4294967295", "-W", "4294967295"],
        &["ping", "1:1", "-c", "18446744073709551615", "-s", "16364"],
        &["listen", "32", "--buffer", "1073741823", "-c", "1"],
        &["bench", "1:1", "-j", "10000", "-t", "4294967295"],
        &["watch", "0-4294967295:0-4294967295", "--group", "32"],
    ] {
        let output = run(&[words, &["--help"]].concat());
        assert!(output.status.success(), "{words:?}: {output:?}");
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
    assert!(errors.contains("16365 bytes of data are more"), "{errors}");
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

// SPDX-License-Identifier: GPL-2.0

//! Programs that run beside a test, with their output in a pipe or on a terminal.

use std::{
    env,
    fs::{self, File},
    io::{Read, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_USERSOCK};
use nix::{
    pty::openpty,
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, SetArg, tcgetattr, tcsetattr},
    },
    unistd::Pid,
};
use serde_json::Value;

use crate::{PATIENCE, wait_for};

/// What lies in the folder of this test program.
pub fn beside(name: &str) -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    program.with_file_name(name)
}

/// One of the project's programs, which lie in `bin` beside this one: `cnctl`.
pub fn tool(name: &str) -> Command {
    Command::new(beside("bin").join(name))
}

/// What a program that has ended has left.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; `None` if a signal killed it.
    pub status: Option<i32>,
    /// What it wrote to standard output, or to the terminal.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ended {
    /// Fails unless the exit status is `expected`.
    pub fn expect(self, expected: i32) -> Result<Self> {
        ensure!(
            self.status == Some(expected),
            "the exit status should be {expected}: {self:?}"
        );
        Ok(self)
    }

    /// Every line of the output, each of which must be a JSON object.
    pub fn json(&self) -> Result<Vec<Value>> {
        self.stdout.lines().map(json).collect()
    }
}

/// Reads a line, which must be a JSON object.
pub fn json(line: &str) -> Result<Value> {
    let value: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
    ensure!(value.is_object(), "no object: {line}");
    Ok(value)
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Result<Ended> {
    Running::start(command)?.wait()
}

/// A program that runs. It is killed when this is dropped.
pub struct Running {
    child: Child,
    output: Receiver<Vec<u8>>,
    errors: Option<Receiver<Vec<u8>>>,
    /// What came and has not been taken.
    seen: String,
    /// What one types, if it runs on a terminal.
    keyboard: Option<File>,
}

impl Running {
    /// Starts a program whose output goes to pipes; its input is empty unless set.
    pub fn start(command: &mut Command) -> Result<Self> {
        let what = format!("{command:?}");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(what)?;
        let output = read_all(child.stdout.take().context("no output")?);
        let errors = read_all(child.stderr.take().context("no errors")?);
        Ok(Self {
            child,
            output,
            errors: Some(errors),
            seen: String::new(),
            keyboard: None,
        })
    }

    /// Starts a program on a terminal of its own, which controls it.
    pub fn start_on_terminal(words: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let terminal = openpty(None, None).context("openpty")?;
        // Ctrl-C otherwise takes away what was printed and not yet read here.
        let mut settings = tcgetattr(&terminal.slave)?;
        settings.local_flags.insert(LocalFlags::NOFLSH);
        tcsetattr(&terminal.slave, SetArg::TCSANOW, &settings)?;
        let end = || -> Result<OwnedFd> { Ok(terminal.slave.try_clone()?) };
        let child = Command::new("/bin/busybox")
            .args(["setsid", "-c"])
            .args(words)
            .env_remove("NO_COLOR")
            .env("TERM", "linux")
            .envs(variables.iter().copied())
            .stdin(end()?)
            .stdout(end()?)
            .stderr(end()?)
            .spawn()
            .with_context(|| format!("{words:?}"))?;
        let keyboard = File::from(terminal.master);
        let output = read_all(keyboard.try_clone()?);
        Ok(Self {
            child,
            output,
            errors: None,
            seen: String::new(),
            keyboard: Some(keyboard),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types something.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        let keyboard = self.keyboard.as_mut().context("no terminal")?;
        Ok(keyboard.write_all(keys.as_bytes())?)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // CAST: A process id is positive.
        Ok(kill(Pid::from_raw(self.child.id() as i32), signal)?)
    }

    /// Stops it, until it gets SIGCONT.
    pub fn stand_still(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        wait_for("the program to stand still", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
            Ok(stat.contains(") T ").then_some(()))
        })
    }

    /// Waits for the next line of the output.
    pub fn line(&mut self) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((line, rest)) = self.seen.split_once('\n') {
                let line = line.to_owned();
                self.seen = rest.to_owned();
                return Ok(line);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => bail!("no more lines ({error}); so far {:?}", self.seen),
            }
        }
    }

    /// The next line, if it has come already.
    pub fn line_now(&mut self) -> Result<Option<String>> {
        while let Ok(bytes) = self.output.try_recv() {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        match self.seen.contains('\n') {
            true => self.line().map(Some),
            false => Ok(None),
        }
    }

    /// Waits for a line that `wanted` accepts; returns all up to it.
    pub fn lines_until(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().with_context(|| format!("after {lines:#?}"))?;
            let found = wanted(&line);
            lines.push(line);
            if found {
                return Ok(lines);
            }
        }
    }

    /// Waits until the program has joined a group, and who sends to it finds a listener.
    pub fn wait_until_in(&self, group: u32) -> Result<()> {
        // CAST: A process id is positive.
        let port = self.pid();
        wait_for("the program to join a group", || {
            let text = fs::read_to_string("/proc/net/netlink")?;
            let joined = text.lines().skip(1).any(|line| {
                let fields: Vec<_> = line.split_whitespace().collect();
                let groups = fields.get(3).map(|hex| u32::from_str_radix(hex, 16));
                fields.get(1) == Some(&"11")
                    && fields.get(2) == Some(&port.to_string().as_str())
                    && matches!(groups, Some(Ok(mask)) if mask & (1 << (group - 1)) != 0)
            });
            Ok(joined.then_some(()))
        })?;
        wait_for_netlink_table()
    }

    /// Waits for the end. The output is what was not taken before.
    pub fn wait(mut self) -> Result<Ended> {
        let status: ExitStatus =
            wait_for("the program to end", || Ok(self.child.try_wait()?)).context("it hangs")?;
        let mut stdout = std::mem::take(&mut self.seen);
        // A terminal has no end as long as it is open.
        self.keyboard = None;
        drain(&self.output, &mut stdout)?;
        let mut stderr = String::new();
        if let Some(errors) = &self.errors {
            drain(errors, &mut stderr)?;
        }
        Ok(Ended {
            status: status.code(),
            stdout,
            stderr,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads in a thread, so that the program never waits for the test.
fn read_all(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        // A terminal whose programs have ended reports an error.
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if send.send(buffer[..len].to_vec()).is_err() {
                break;
            }
        }
    });
    receive
}

/// Waits for whoever changes a netlink socket's groups: one after the other they do, of all protocols.
/// `/proc` shows a group before the kernel knows that it has listeners. Where a CPU is emulated, it may stop
/// between the two for long.
fn wait_for_netlink_table() -> Result<()> {
    let mut socket = Socket::new(NETLINK_USERSOCK).context("socket(NETLINK_USERSOCK)")?;
    socket
        .bind(&SocketAddr::new(0, 1))
        .context("joining a group")
}

/// Takes what comes until the end.
fn drain(from: &Receiver<Vec<u8>>, text: &mut String) -> Result<()> {
    let mut bytes = Vec::new();
    loop {
        match from.recv_timeout(PATIENCE) {
            Ok(more) => bytes.extend(more),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(error) => return Err(error).context("the output does not end"),
        }
    }
    text.push_str(&String::from_utf8_lossy(&bytes));
    Ok(())
}

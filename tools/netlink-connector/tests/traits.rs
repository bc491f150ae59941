// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What other programs may do with the public types because of what these are made of: to lose that
//! would break them.

use std::{error::Error, fmt::Debug, io, os::fd::OwnedFd};

use netlink_connector as client;

/// Can be sent to another thread, shared with it, and moved.
fn free<T: Send + Sync + Unpin + Debug>() {}

fn copied<T: Copy + Eq>() {}

fn error<T: Error + Send + Sync + 'static>() {}

#[test]
fn every_public_type_can_be_sent_shared_moved_and_shown() {
    free::<client::Batch>();
    free::<client::Builder>();
    free::<client::Cause>();
    free::<client::CbId>();
    free::<client::Connector>();
    free::<client::Core>();
    free::<client::Deadline>();
    free::<client::Error>();
    free::<client::Event>();
    free::<client::Gap>();
    free::<client::Gaps>();
    free::<client::Group>();
    free::<client::Header>();
    free::<client::Interrupter>();
    free::<client::Malformed>();
    free::<client::Message>();
    free::<client::NotAGroup>();
    free::<client::NotAnId>();
    free::<client::Overrun>();
    free::<client::Payload>();
    free::<client::ProcEvent>();
    free::<client::ProcEvents>();
    free::<client::Range>();
    free::<client::RawMessage<'_>>();
    free::<client::Reason>();
    free::<client::RecvBatch>();
    free::<client::Registered>();
    free::<client::SocketInfo>();
    free::<client::known::Known>();
    free::<client::known::NotAnId>();
    free::<client::notify::Change>();
    free::<client::notify::Ids>();
    free::<client::proc::Comm>();
    free::<client::proc::Events>();
    free::<client::proc::NotEvents>();
    free::<client::proc::Task>();
    free::<client::proc::What>();
}

#[cfg(feature = "tokio")]
#[test]
fn so_can_those_of_asynchronous_programs_and_their_futures() {
    fn future<T: Send>(_: impl FnOnce(client::AsyncConnector) -> T) {}
    free::<client::AsyncConnector>();
    free::<client::EventStream>();
    free::<client::ProcEventStream>();
    let second = std::time::Duration::from_secs(1);
    future(|socket| async move { socket.recv().await });
    future(|socket| async move { socket.request(&Default::default(), b"", second).await });
    future(|socket| async move {
        socket
            .subscribe_proc(client::proc::Events::ALL, second)
            .await
    });
}

#[test]
fn small_values_are_copied() {
    copied::<client::CbId>();
    copied::<client::Group>();
    copied::<client::Header>();
    copied::<client::Deadline>();
    copied::<client::ProcEvent>();
    copied::<client::proc::Events>();
}

#[test]
fn errors_are_errors_and_become_those_of_the_standard_library() {
    error::<client::Error>();
    error::<client::Malformed>();
    error::<client::NotAGroup>();
    error::<client::NotAnId>();
    error::<client::known::NotAnId>();
    error::<client::proc::NotEvents>();
    let _: fn(client::Error) -> io::Error = From::from;
    let _: fn(client::Connector) -> OwnedFd = From::from;
    let _: fn(OwnedFd) -> client::Result<client::Connector> = TryFrom::try_from;
}

// SPDX-License-Identifier: GPL-2.0

//! What modules in C call, by way of `c_api.c`.
//!
//! A callback is a service like any other: its handler is the function. So `cn_del_callback()` returns
//! when the callback runs nowhere any more, whoever has unregistered it. The callback may call it itself,
//! and then waits neither for itself nor for others that run it: see `calls.rs`.

use core::ptr::NonNull;

use kernel::{
    fmt,
    prelude::*,
    str::CStr, //
};

use super::{
    calls,
    send, //
};
use crate::{
    bindings,
    layout,
    registry,
    service::RawHandler,
    started,
    usage::InUse, //
};

/// What C registers.
type Callback = unsafe extern "C" fn(*mut bindings::cn_msg, *mut bindings::netlink_skb_parms);

/// `cn_add_callback()`: registers a callback. May sleep.
///
/// Returns 0, `-EINVAL` if the id is taken or there is no callback, `-ENOMEM`, `-ENODEV` if
/// the callback's module is going, or `-EAGAIN` if the core is not up yet.
///
/// # Safety
///
/// `id` must be valid, and `name` a string or null, for the time of the call; `callback` must be a function that
/// may be called until it is unregistered, or its module has gone.
#[no_mangle]
pub(crate) unsafe extern "C" fn cn_rust_add_callback(
    id: *const bindings::cb_id,
    name: *const c_char,
    callback: Option<Callback>,
) -> c_int {
    if let Err(error) = started::check() {
        return error.to_errno();
    }
    let Some(callback) = callback else {
        return EINVAL.to_errno();
    };
    // As the kernel's own prints it.
    let name = if name.is_null() {
        c"(null)".as_char_ptr()
    } else {
        name
    };
    // SAFETY: By this function's contract.
    let (id, name) = unsafe { (layout::id_of(&*id), CStr::from_char_ptr(name)) };
    // SAFETY: `handle` takes such a function, which may be called by this function's contract: the
    // registry waits for the last call where the callback is unregistered, and when its module goes.
    let handler = unsafe {
        RawHandler::new(
            NonNull::new_unchecked(callback as *mut ()),
            handle,
            show,
            None,
            &[],
        )
    };
    match registry::register(id, name, handler.of_c(callback as usize)) {
        Ok(_) => 0,
        Err(error) => error.to_errno(),
    }
}

/// `cn_del_callback()`: unregisters a callback, and waits until it runs nowhere any more, unless the current
/// task is in it. May sleep.
///
/// An id that nobody has is left alone, and so is one that a module in Rust has.
///
/// # Safety
///
/// `id` must be valid for the time of the call.
#[no_mangle]
pub(crate) unsafe extern "C" fn cn_rust_del_callback(id: *const bindings::cb_id) {
    // SAFETY: By this function's contract.
    registry::unregister_of_c(layout::id_of(unsafe { &*id }), |service| {
        calls::is_inside(service.usage())
    });
}

/// `cn_netlink_send_mult()`, see [`send::send_mult`].
///
/// # Safety
///
/// That function's; `message` must not be null.
#[no_mangle]
unsafe extern "C" fn cn_rust_send_mult(
    message: *mut bindings::cn_msg,
    len: u16,
    portid: u32,
    group: u32,
    gfp: bindings::gfp_t,
    filter: bindings::netlink_filter_fn,
    filter_data: *mut c_void,
) -> c_int {
    // SAFETY: By this function's contract.
    let message = unsafe { NonNull::new_unchecked(message) };
    // SAFETY: As above.
    unsafe { send::send_mult(message, len, portid, group, gfp, filter, filter_data) }
}

/// `cn_netlink_send()`, see [`send::send_one`].
///
/// # Safety
///
/// That function's; `message` must not be null.
#[no_mangle]
unsafe extern "C" fn cn_rust_send(
    message: *mut bindings::cn_msg,
    portid: u32,
    group: u32,
    gfp: bindings::gfp_t,
) -> c_int {
    // SAFETY: By this function's contract.
    let message = unsafe { NonNull::new_unchecked(message) };
    // SAFETY: As above.
    unsafe { send::send_one(message, portid, group, gfp) }
}

/// Calls a callback of C.
///
/// # Safety
///
/// `callback` must be a [`Callback`] that may be called. `message` and `parms` must be what a core
/// delivers, and nobody else may use them.
unsafe fn handle(
    callback: NonNull<()>,
    message: NonNull<bindings::cn_msg>,
    parms: NonNull<bindings::netlink_skb_parms>,
    in_use: &InUse,
) {
    // SAFETY: By this function's contract.
    let callback = unsafe { core::mem::transmute::<NonNull<()>, Callback>(callback) };
    // SAFETY: As above: they are given back when this returns.
    let requester = unsafe { calls::Requester::from_raw(parms) };
    calls::during(in_use, &requester, move || {
        // SAFETY: By this function's contract: nobody looks at the message and the parameters after
        // this. C may write to them.
        unsafe { callback(message.as_ptr(), parms.as_ptr()) }
    });
}

/// C has nothing to show.
///
/// # Safety
///
/// Must be called as a [`RawHandler`] calls it: with the callback that this was made with, before the
/// service was drained.
unsafe fn show(_callback: NonNull<()>, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
    Ok(())
}

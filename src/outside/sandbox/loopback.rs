//! The loopback interface of a sandbox. In a new network namespace, it is not active (network_namespaces(7)).

use std::io;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType};

/// Activates the interface in the network namespace of this process. The process must own that namespace.
pub(super) fn switch_on() -> io::Result<()> {
    // NETLINK_ROUTE is 0, which is the default protocol.
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    rustix::net::send(&socket, &request(), SendFlags::empty())?;
    rustix::net::recv(&socket, &mut [0u8; 128], RecvFlags::empty())?;
    Ok(())
}

/// Returns the message that sets the flag `IFF_UP` of the first interface (netlink(7), rtnetlink(7)). It consists of a
/// header of 16 bytes and an `ifinfomsg` of 16 bytes.
fn request() -> Vec<u8> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_AND_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut bytes = Vec::new();
    bytes.extend(32u32.to_ne_bytes());
    bytes.extend(RTM_NEWLINK.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST_AND_ACK.to_ne_bytes());
    // The sequence number is 1, and the receiver is the kernel.
    bytes.extend([1u32, 0].map(u32::to_ne_bytes).as_flattened());
    // The message is for any family and type. Loopback is always the first interface of its namespace.
    bytes.extend([0u32, 1, IFF_UP, IFF_UP].map(u32::to_ne_bytes).as_flattened());
    bytes
}

//! Segmentation offloads of a network device, as `ethtool -K` sets them.

use std::{io, mem, os::fd::AsRawFd};

use anyhow::{Context, Result};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::{DEVICE, Lab, Namespace};

/// `ETHTOOL_GTSO`, `ETHTOOL_STSO`, `ETHTOOL_SGSO` (`include/uapi/linux/ethtool.h`)
const GET_TSO: u32 = 0x1e;
const SET_TSO: u32 = 0x1f;
const SET_GSO: u32 = 0x24;

/// `struct ethtool_value`
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

impl Lab {
    /// Lets both hosts hand skbs of many segments to the wire, or only single segments. With it, such an skb passes a
    /// rule of [`super::trouble`] as one packet, and is lost as one.
    ///
    /// # Errors
    /// Names the device.
    pub fn segmentation_offload(&self, on: bool) -> Result<()> {
        for side in [&self.left, &self.right] {
            side.ethtool(SET_TSO, on.into())?;
            side.ethtool(SET_GSO, on.into())?;
        }
        Ok(())
    }
}

impl Namespace {
    /// Does the wire take TCP segments to cut?
    ///
    /// # Errors
    /// Names the device.
    pub fn has_segmentation_offload(&self) -> Result<bool> {
        Ok(self.ethtool(GET_TSO, 0)? != 0)
    }

    fn ethtool(&self, command: u32, data: u32) -> Result<u32> {
        self.run(|| ethtool(command, data))
            .with_context(|| format!("ethtool command {command:#x} on {DEVICE} in {}", self.name()))
    }
}

fn ethtool(command: u32, data: u32) -> io::Result<u32> {
    const SIOCETHTOOL: libc::Ioctl = 0x8946;
    let any = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut value = Value { command, data };
    // SAFETY: an ifreq is plain data, and zero a value of it.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(DEVICE.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: both structures live until the call returns, and are those that it takes.
    match unsafe { libc::ioctl(any.as_raw_fd(), SIOCETHTOOL, &raw mut request) } {
        0 => Ok(value.data),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::available, *};

    #[test]
    fn it_can_be_turned_off_and_on() {
        if !available() {
            return;
        }
        let lab = Lab::new().unwrap();
        for on in [false, true] {
            lab.segmentation_offload(on).unwrap();
            assert_eq!(lab.left.has_segmentation_offload().unwrap(), on);
            assert_eq!(lab.right.has_segmentation_offload().unwrap(), on);
        }
    }
}

//! File capabilities between a layer and a disk with shifted owners (linux/capability.h,
//! `vfs_cap_data` and `vfs_ns_cap_data`). In a layer they have revision 2, good for whoever is root; on
//! disk revision 3, which names the root user that they are good for.

const REVISION_MASK: u32 = 0xff00_0000;
const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;
/// Magic word, then permitted and inheritable sets in two halves.
const LENGTH_2: usize = 20;
/// The same, then the root user.
const LENGTH_3: usize = 24;

fn word(value: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(value.get(at..at + 4)?.try_into().ok()?))
}

/// The value for the disk: revision 3 with root id `shift`; unchanged for shift 0. `None` when the
/// layer's value is not of revision 2.
pub(super) fn to_disk(value: &[u8], shift: u32) -> Option<Vec<u8>> {
    let magic = word(value, 0)?;
    if magic & REVISION_MASK != REVISION_2 || value.len() != LENGTH_2 {
        return None;
    }
    if shift == 0 {
        return Some(value.to_vec());
    }
    let mut disk = (magic & !REVISION_MASK | REVISION_3).to_le_bytes().to_vec();
    disk.extend_from_slice(&value[4..]);
    disk.extend_from_slice(&shift.to_le_bytes());
    Some(disk)
}

/// The value for the layer: revision 2. `None` when it belongs to another root id than `shift`, or is
/// of neither revision.
pub(super) fn to_layer(value: &[u8], shift: u32) -> Option<Vec<u8>> {
    let magic = word(value, 0)?;
    match (magic & REVISION_MASK, value.len()) {
        (REVISION_2, LENGTH_2) => Some(value.to_vec()),
        (REVISION_3, LENGTH_3) if word(value, LENGTH_2)? == shift => {
            let mut layer = (magic & !REVISION_MASK | REVISION_2).to_le_bytes().to_vec();
            layer.extend_from_slice(&value[4..LENGTH_2]);
            Some(layer)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_round_trip_by_shift() {
        let mut layer = vec![1, 0, 0, 2];
        layer.extend_from_slice(&[0xff; 16]);
        let disk = to_disk(&layer, 1).unwrap();
        assert_eq!((disk.len(), disk[3], disk[0], disk[20]), (24, 3, 1, 1));
        assert_eq!(to_layer(&disk, 1).unwrap(), layer);
        assert_eq!(to_layer(&disk, 2), None, "another user's capabilities");
        assert_eq!(to_disk(&layer, 0).unwrap(), layer);
        assert_eq!(to_disk(&disk, 1), None);
        assert_eq!(to_disk(b"", 1), None);
        assert_eq!(to_layer(&layer, 1).unwrap(), layer);
    }
}

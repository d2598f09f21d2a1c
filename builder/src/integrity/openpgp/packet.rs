//! Packets (section 4.2).

/// The packets of a text without armour: type and body each, until something is none.
pub(super) fn packets(bytes: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (packet, after) = first(rest)?;
        rest = after;
        Some(packet)
    })
}

/// Type and body of a packet.
type Packet<'a> = (u8, &'a [u8]);

/// The first packet, and what follows it.
fn first(bytes: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    let old = match head & 0xc0 {
        0x80 => true,
        0xc0 => false,
        _ => return None,
    };
    let (kind, length, rest) = match old {
        true => {
            let width = match head & 3 {
                0 => 1,
                1 => 2,
                2 => 4,
                _ => return None,
            };
            ((head >> 2) & 15, number(rest.get(..width)?), rest.get(width..)?)
        }
        false => {
            let &octet = rest.first()?;
            let (length, width) = match octet {
                0..=191 => (octet.into(), 1),
                192..=223 => {
                    (((usize::from(octet) - 192) << 8) + usize::from(*rest.get(1)?) + 192, 2)
                }
                255 => (number(rest.get(1..5)?), 5),
                // A length in parts, which neither keys nor signatures may have.
                _ => return None,
            };
            (head & 63, length, rest.get(width..)?)
        }
    };
    Some(((kind, rest.get(..length)?), &rest[length..]))
}

/// A number of at most four octets.
pub(super) fn number(octets: &[u8]) -> usize {
    octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet))
}

/// A multiprecision integer (section 3.2) without its length, and what follows.
pub(super) fn integer(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let octets = number(bytes.get(..2)?).div_ceil(8);
    Some((bytes.get(2..2 + octets)?, bytes.get(2 + octets..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_lengths_are_read_and_broken_ones_end_it() {
        let mut bytes =
            vec![0x88, 1, b'a', 0x99, 0, 2, b'b', b'b', 0x9a, 0, 0, 0, 1, b'c', 0xc2, 1, b'd'];
        bytes.extend([0xce, 192, 8]);
        bytes.extend([7; 200]);
        bytes.extend([0xce, 255, 0, 0, 0, 1, 9, 0xce, 254, 0]);
        let all: Vec<_> = packets(&bytes).map(|(kind, body)| (kind, body.len())).collect();
        assert_eq!(all, [(2, 1), (6, 2), (6, 1), (2, 1), (14, 200), (14, 1)]);
        assert_eq!(packets(&[0x88, 9, 1]).count(), 0);
        assert_eq!(packets(b"text").count(), 0);
        assert_eq!(integer(&[0, 9, 1, 2, 3]), Some((&[1u8, 2][..], &[3u8][..])));
        assert_eq!(integer(&[0, 9, 1]), None);
    }
}

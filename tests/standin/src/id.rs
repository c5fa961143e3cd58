//! IDs of documents: the number of their table, 16 bytes and a checksum, in Crockford's base32 with small letters.

/// The number of the first table that an app has of its own. Those below are the system's.
pub const FIRST_TABLE: u32 = 10_001;
/// The table of exports.
pub const EXPORTS: u32 = 516;
/// The table of environment variables.
pub const VARIABLES: u32 = 525;
/// The table of files, where no import has chosen another number.
pub const FILES: u32 = 540;
/// The table of imports.
pub const IMPORTS: u32 = 541;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Length of the part that is the document's own.
const OWN: usize = 16;
const CHECKSUM: usize = 2;
/// Lengths of the shortest and of the longest text: the table's number takes one byte to five.
const LENGTHS: std::ops::RangeInclusive<usize> = 31..=37;

/// Why a text is no ID.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// A character is not in the alphabet.
    #[error("Unable to decode ID: ID wasn't valid base32")]
    Base32,
    /// Too short, too long, or not the one way to write it.
    #[error("Unable to decode ID: Invalid ID length {0}")]
    Length(usize),
    /// The number of the table is zero or does not end.
    #[error("Unable to decode ID: Invalid table number")]
    Table,
    /// The checksum differs.
    #[error("Unable to decode ID: Invalid ID version {0} (expected {1})")]
    Checksum(u16, u16),
}

/// An ID that no other document has.
///
/// # Panics
///
/// Where the system has no random bytes.
#[must_use]
pub fn random(table: u32) -> String {
    let mut own = [0; OWN];
    getrandom::fill(&mut own).expect("the system has random bytes");
    encode(table, &own)
}

/// The number of the table that an ID is of.
pub fn table(text: &str) -> Result<u32, BadId> {
    let wrong_length = BadId::Length(text.len());
    if !LENGTHS.contains(&text.len()) {
        return Err(wrong_length);
    }
    let bytes = from_base32(text).ok_or(BadId::Base32)?;
    let (table, length) = from_varint(&bytes).ok_or(BadId::Table)?;
    let Some((content, footer)) = bytes.split_at_checked(length + OWN) else {
        return Err(wrong_length);
    };
    let Some(footer) = footer.first_chunk::<CHECKSUM>() else {
        return Err(wrong_length);
    };
    let (found, expected) = (u16::from_le_bytes(*footer), checksum(content));
    if found != expected {
        return Err(BadId::Checksum(found, expected));
    }
    // There is one way to write an ID: bits that are left over are zero.
    if encode(table, &content[length..]) != text {
        return Err(wrong_length);
    }
    Ok(table)
}

fn encode(table: u32, own: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(5 + OWN + CHECKSUM);
    let mut rest = table;
    while rest >= 0x80 {
        bytes.push(low_bits(rest) | 0x80);
        rest >>= 7;
    }
    bytes.push(low_bits(rest));
    bytes.extend(own);
    let checksum = checksum(&bytes);
    bytes.extend(checksum.to_le_bytes());
    to_base32(&bytes)
}

fn low_bits(number: u32) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

fn from_varint(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        number |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return (number > 0).then_some((number, index + 1));
        }
    }
    None
}

/// Fletcher's checksum of 16 bits, modulo 256.
fn checksum(bytes: &[u8]) -> u16 {
    let (low, high) = bytes.iter().fold((0_u8, 0_u8), |(low, high), byte| {
        let low = low.wrapping_add(*byte);
        (low, high.wrapping_add(low))
    });
    u16::from_le_bytes([low, high])
}

fn to_base32(bytes: &[u8]) -> String {
    let (mut text, mut held, mut bits) = (String::new(), 0_u16, 0);
    for byte in bytes {
        held = (held << 8) | u16::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(digit(held >> bits));
        }
    }
    if bits > 0 {
        text.push(digit(held << (5 - bits)));
    }
    text
}

fn digit(bits: u16) -> char {
    char::from(ALPHABET[usize::from(bits & 31)])
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u16, 0);
    for letter in text.bytes() {
        let digit = ALPHABET.iter().position(|it| *it == letter)?;
        held = (held << 5) | u16::try_from(digit).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits).to_le_bytes()[0]);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{BadId, FILES, FIRST_TABLE, encode, random, table};

    #[test]
    fn an_id_tells_its_table_and_is_written_in_one_way() {
        for number in [1, 127, 128, FILES, FIRST_TABLE, 1 << 21, u32::MAX] {
            let id = random(number);
            assert_eq!(table(&id), Ok(number), "{id}");
        }
        // Where IDs are known by sight: those of files begin like this.
        assert!(encode(FILES, &[0; 16]).starts_with("kg2"));
        assert_eq!(random(FIRST_TABLE).len(), 32);
    }

    #[test]
    fn what_is_no_id_is_told() {
        assert_eq!(table("kg1ballast"), Err(BadId::Length(10)));
        let id = encode(FIRST_TABLE, b"0123456789abcdef");
        assert_eq!(table(&id.replace(&id[4..5], "u")), Err(BadId::Base32));
        let other = if id.ends_with('0') { "1" } else { "0" };
        let flipped = format!("{}{other}", &id[..id.len() - 1]);
        assert!(
            matches!(table(&flipped), Err(BadId::Checksum(..))),
            "{flipped}"
        );
        assert_eq!(table(&encode(0, &[1; 16])), Err(BadId::Table));
    }
}

//! What an admin key says, and its protobuf form.

use super::OpenError;

/// Whom a key was issued to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A member of a team. Member 0 stands for "the administrator" of a self-hosted deployment.
    Member(u64),
    /// The system itself. `/api/check_admin_key` refuses such a key with 403.
    System,
}

/// The sealed part of an admin key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// When the key was issued, in seconds since 1970. Never 0.
    pub issued_s: u64,
    /// Whom it was issued to.
    pub identity: Identity,
    /// Whether the backend refuses writes made with it.
    pub read_only: bool,
}

const ISSUED_S: u64 = 2;
const MEMBER_ID: u64 = 3;
const SYSTEM: u64 = 4;
const IS_READ_ONLY: u64 = 5;

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;

impl Claims {
    /// The message as upstream writes it: fields in order, the instance name (field 1) left out,
    /// and a member id of 0 written all the same, since it decides the kind of identity.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(16);
        put_varint(&mut message, ISSUED_S << 3 | VARINT);
        put_varint(&mut message, self.issued_s);
        match self.identity {
            Identity::Member(id) => {
                put_varint(&mut message, MEMBER_ID << 3 | VARINT);
                put_varint(&mut message, id);
            }
            Identity::System => {
                put_varint(&mut message, SYSTEM << 3 | LENGTH_DELIMITED);
                put_varint(&mut message, 0);
            }
        }
        if self.read_only {
            put_varint(&mut message, IS_READ_ONLY << 3 | VARINT);
            put_varint(&mut message, 1);
        }
        message
    }

    /// Reads the message as protobuf asks: fields in any order, the last of a kind wins, unknown
    /// fields are skipped.
    pub(super) fn decode(mut message: &[u8]) -> Result<Self, OpenError> {
        let (mut issued_s, mut identity, mut read_only) = (0, None, false);
        while !message.is_empty() {
            let tag = take_varint(&mut message)?;
            match (tag >> 3, tag & 7) {
                (ISSUED_S, VARINT) => issued_s = take_varint(&mut message)?,
                (MEMBER_ID, VARINT) => {
                    identity = Some(Identity::Member(take_varint(&mut message)?));
                }
                (SYSTEM, LENGTH_DELIMITED) => {
                    skip(&mut message, LENGTH_DELIMITED)?;
                    identity = Some(Identity::System);
                }
                (IS_READ_ONLY, VARINT) => read_only = take_varint(&mut message)? != 0,
                (_, wire_type) => skip(&mut message, wire_type)?,
            }
        }
        if issued_s == 0 {
            return Err(OpenError::NoIssueTime);
        }
        let identity = identity.ok_or(OpenError::NoIdentity)?;
        Ok(Self {
            issued_s,
            identity,
            read_only,
        })
    }
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    message.push(number.to_le_bytes()[0]);
}

fn take_varint(message: &mut &[u8]) -> Result<u64, OpenError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first().ok_or(OpenError::Malformed)?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err(OpenError::Malformed);
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(OpenError::Malformed)
}

fn skip(message: &mut &[u8], wire_type: u64) -> Result<(), OpenError> {
    let length = match wire_type {
        VARINT => return take_varint(message).map(drop),
        FIXED_64 => 8,
        FIXED_32 => 4,
        LENGTH_DELIMITED => {
            usize::try_from(take_varint(message)?).map_err(|_| OpenError::Malformed)?
        }
        _ => return Err(OpenError::Malformed),
    };
    message
        .split_off(..length)
        .map(drop)
        .ok_or(OpenError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_claims() -> impl Strategy<Value = Claims> {
        let identity = prop_oneof![
            any::<u64>().prop_map(Identity::Member),
            Just(Identity::System)
        ];
        (1_u64.., identity, any::<bool>()).prop_map(|(issued_s, identity, read_only)| Claims {
            issued_s,
            identity,
            read_only,
        })
    }

    proptest! {
        #[test]
        fn claims_go_there_and_back(claims in any_claims()) {
            prop_assert_eq!(Claims::decode(&claims.encode()), Ok(claims));
        }

        #[test]
        fn no_message_makes_decoding_panic(message: Vec<u8>) {
            let _ = Claims::decode(&message);
        }

        #[test]
        fn a_cut_message_is_refused(claims in any_claims(), cut in 1_usize..4) {
            let message = claims.encode();
            let cut = message.len() - cut.min(message.len());
            let read = Claims::decode(&message[..cut]);
            prop_assert!(read != Ok(claims), "{:?}", read);
        }
    }

    #[test]
    fn unknown_fields_and_an_instance_name_inside_are_skipped() {
        let mut message = b"\x0a\x03app".to_vec();
        let claims = Claims {
            issued_s: 7,
            identity: Identity::System,
            read_only: true,
        };
        message.extend(claims.encode());
        message.extend(b"\x31\x01\x02\x03\x04\x05\x06\x07\x08\x3d\x01\x02\x03\x04\x40\x01");
        assert_eq!(Claims::decode(&message), Ok(claims));
    }

    #[test]
    fn what_the_backend_refuses_is_refused() {
        assert_eq!(Claims::decode(b""), Err(OpenError::NoIssueTime));
        assert_eq!(
            Claims::decode(b"\x10\x00\x18\x00"),
            Err(OpenError::NoIssueTime)
        );
        assert_eq!(Claims::decode(b"\x10\x01"), Err(OpenError::NoIdentity));
        assert_eq!(Claims::decode(b"\x10\xff"), Err(OpenError::Malformed));
        assert_eq!(Claims::decode(b"\x0a\x04app"), Err(OpenError::Malformed));
        assert_eq!(Claims::decode(&[0xff; 11]), Err(OpenError::Malformed));
    }
}

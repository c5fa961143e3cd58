//! How many variables a deployment holds, and how large they are together.

/// The most variables a deployment holds, since June 2026 (`ENV_VAR_LIMIT` of the backend).
pub const MAX_COUNT: usize = 512;

/// The most variables of backends from before December 2025.
pub const LEGACY_MAX_COUNT: usize = 100;

/// The most bytes of all names and values together, since May 2026 (`ENV_VAR_TOTAL_SIZE_LIMIT`).
pub const MAX_TOTAL_BYTES: usize = 524_288;

/// Why a deployment cannot hold some variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// More than [`MAX_COUNT`].
    #[error(
        "There would be {count} variables, and by default a deployment holds {MAX_COUNT}. By order of \
         names, {first_beyond} is the first without a place."
    )]
    Count {
        /// How many there would be.
        count: usize,
        /// The first name past the limit, by order of names.
        first_beyond: String,
    },
    /// More than [`MAX_TOTAL_BYTES`].
    #[error(
        "Names and values would have {bytes} bytes together, and by default a deployment holds \
         {MAX_TOTAL_BYTES}. By order of names, {first_beyond} is the first without room."
    )]
    TotalSize {
        /// How many bytes there would be.
        bytes: usize,
        /// The first name past the limit, by order of names.
        first_beyond: String,
    },
}

/// Checks all variables a deployment would hold, those nobody declared included, in order of names.
///
/// The backend applies the limits to the state after a batch, so give what [`Changes::result`]
/// returns.
///
/// [`Changes::result`]: super::Changes::result
pub fn check_limits<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), LimitError> {
    let (mut count, mut bytes) = (0, 0);
    let (mut first_beyond_count, mut first_beyond_bytes) = (None, None);
    for (name, value) in variables {
        count += 1;
        bytes += name.len() + value.len();
        if count > MAX_COUNT {
            first_beyond_count.get_or_insert(name);
        }
        if bytes > MAX_TOTAL_BYTES {
            first_beyond_bytes.get_or_insert(name);
        }
    }
    if let Some(name) = first_beyond_count {
        return Err(LimitError::Count {
            count,
            first_beyond: name.to_owned(),
        });
    }
    if let Some(name) = first_beyond_bytes {
        return Err(LimitError::TotalSize {
            bytes,
            first_beyond: name.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: usize, value_bytes: usize) -> Result<(), LimitError> {
        let value = "x".repeat(value_bytes);
        let names: Vec<String> = (0..count).map(|n| format!("V{n:03}")).collect();
        check_limits(names.iter().map(|name| (name.as_str(), value.as_str())))
    }

    #[test]
    fn the_513th_variable_by_name_has_no_place() {
        assert_eq!(check(512, 1), Ok(()));
        let error = LimitError::Count {
            count: 515,
            first_beyond: "V512".to_owned(),
        };
        assert_eq!(check(515, 1), Err(error));
    }

    #[test]
    fn names_and_values_share_the_room() {
        // 64 variables of 4 + 8188 bytes are exactly 512 KiB.
        assert_eq!(check(64, 8188), Ok(()));
        let error = LimitError::TotalSize {
            bytes: 524_352,
            first_beyond: "V063".to_owned(),
        };
        assert_eq!(check(64, 8189), Err(error));
    }
}

//! The address of the app itself, which a browser opens.

use std::str::FromStr;

use url::Url;

/// Why a text is not the address of a page. No message contains the text: it could hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageUrlError {
    /// There is nothing.
    #[error("The URL is empty. Write one such as `https://app.example.com`, or leave it out.")]
    Empty,
    /// Blanks, line breaks or control characters.
    #[error("The URL contains blanks, line breaks or control characters. Remove them.")]
    Blank,
    /// No `://`.
    #[error("The URL has no scheme. Write `http://` or `https://` in front.")]
    NoScheme,
    /// Not a URL, or one without a host.
    #[error("This is not a URL with a host. Write one such as `https://app.example.com`.")]
    NotUrl,
}

/// The address of a page: of the web with a host, or of a mobile app, which has a scheme of its own.
#[derive(Debug)]
pub struct PageUrl;

impl FromStr for PageUrl {
    type Err = PageUrlError;

    fn from_str(text: &str) -> Result<Self, PageUrlError> {
        if text.is_empty() {
            return Err(PageUrlError::Empty);
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(PageUrlError::Blank);
        }
        if !text.contains("://") {
            return Err(PageUrlError::NoScheme);
        }
        let url = Url::parse(text).map_err(|_| PageUrlError::NotUrl)?;
        // The address of an app on a phone may be its scheme alone.
        let is_web = matches!(url.scheme(), "http" | "https");
        match url.host_str() {
            None | Some("") if is_web => Err(PageUrlError::NotUrl),
            _ => Ok(Self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PageUrl, PageUrlError};

    #[test]
    fn a_page_has_a_scheme_and_a_host() {
        for good in [
            "http://localhost:5173",
            "https://app.example.com/",
            "https://example.com/app?x=1",
            "myapp://home",
            "myapp://",
        ] {
            assert!(good.parse::<PageUrl>().is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", PageUrlError::Empty),
            (" https://a", PageUrlError::Blank),
            ("app.example.com", PageUrlError::NoScheme),
            ("localhost:5173", PageUrlError::NoScheme),
            ("https://", PageUrlError::NotUrl),
            ("https://a:99999", PageUrlError::NotUrl),
        ] {
            assert_eq!(bad.parse::<PageUrl>().unwrap_err(), error, "{bad}");
        }
    }
}

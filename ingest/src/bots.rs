//! Programs that visit pages: crawlers, link previews, monitors, HTTP libraries. What they do is no touch.
//!
//! Few words find nearly all of them, for well-behaved programs say what they are; the others cannot be told by their user agent.

use regex::{Regex, RegexBuilder};

/// Words of user agents, compared without case. `bot` stands at the end of a word (`Googlebot/2.1`), but not in the name of a phone (`CUBOT`).
const WORDS: [&str; 40] = [
    r"(?:^|[^a-z]|[^u]|[^c]u)bot(?:[^a-z]|$)",
    r"spider",
    r"crawl",
    r"slurp",
    r"scrap(?:er|y)",
    r"archiver",
    r"facebookexternalhit",
    r"mediapartners-google",
    r"google-inspectiontool",
    r"google-read-aloud",
    r"googleother",
    r"apis-google",
    r"feedfetcher",
    r"bingpreview",
    r"link ?preview",
    r"uripreview",
    r"embedly",
    r"slack-imgproxy",
    r"^whatsapp/",
    r"headless",
    r"phantomjs",
    r"puppeteer",
    r"playwright",
    r"selenium",
    r"cypress/",
    r"chrome-lighthouse",
    r"gtmetrix",
    r"\bptst/",
    r"pingdom",
    r"uptime",
    r"statuscake",
    r"site24x7",
    r"\bcurl/",
    r"\bwget/",
    r"python-(?:requests|urllib|httpx)|aiohttp/",
    r"go-http-client",
    r"libwww-perl",
    r"apache-httpclient",
    r"node-fetch|axios/",
    r"postmanruntime",
];

/// Tells bots by their user agent.
#[derive(Debug)]
pub(crate) struct Bots(Option<Regex>);

impl Bots {
    /// With the operator's words beside the built-in ones; blank ones are passed over.
    pub(crate) fn new(more: &[String]) -> Self {
        let more = more.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).map(regex::escape);
        let words: Vec<String> = WORDS.into_iter().map(str::to_owned).chain(more).collect();
        Self(RegexBuilder::new(&words.join("|")).case_insensitive(true).build().ok())
    }

    /// Whether the user agent is a bot's.
    pub(crate) fn is_bot(&self, user_agent: &str) -> bool {
        self.0.as_ref().is_some_and(|words| words.is_match(user_agent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bots_say_what_they_are_and_people_do_not() {
        let bots = Bots::new(&["InHouseMonitor".into(), " ".into()]);
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
            "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)",
            "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider)",
            "facebookexternalhit/1.1",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/100.0 Safari/537.36",
            "curl/7.68.0",
            "python-requests/2.27",
            "Twitterbot",
            "bot",
            "inhousemonitor 1",
        ] {
            assert!(bots.is_bot(agent), "{agent}");
        }
        for agent in [
            "",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 15_4 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.20",
            "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 Chrome/98.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/15.4 Safari/605.1.15 wxwork/4.0.6",
        ] {
            assert!(!bots.is_bot(agent), "{agent}");
        }
    }
}

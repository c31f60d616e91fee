//! Bots: crawlers, link previews, assistants that fetch for somebody, monitors, HTTP libraries. Their visits are no touches.
//!
//! `rules/bots.txt` is a maintained list of their user agents. The words here find bots that the list does not have, by words that nearly
//! all bots use.

use regex::{Regex, RegexBuilder};

/// The maintained list: one regular expression per line, `#` begins a comment.
const LIST: &str = include_str!("../rules/bots.txt");

/// Words in user agents, compared without case. `bot` counts at the end of a word (`Googlebot/2.1`), but not in the name of a phone
/// (`CUBOT`).
const WORDS: [&str; 58] = [
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
    r"python-(?:requests|urllib|httpx)|aiohttp/|^python/",
    r"go-http-client",
    r"libwww-perl",
    r"apache-httpclient",
    r"node-fetch|axios/|undici",
    r"postmanruntime|insomnia/",
    // Libraries of other languages, at the beginning only: in the user agent of an app that shows pages they come later.
    r"^(?:java|okhttp|ruby|php|perl|rust|dart|node|deno|bun)(?:/|$)",
    r"guzzlehttp|reqwest/|rest-client|winhttp|httpunit|restsharp|faraday|reactornetty|embarcadero|webdav-miniredir",
    r"commons-httpclient|httpasyncclient|apachebench|jmeter|\bk6/|gatling|locust|datadog",
    r"\b(?:java-)?http-?client\b|^http_client|unirest|apache-cxf|\baxis2?/|jersey/|\bfeign|retrofit|hutool|jodd http|asynchttpclient|\bahc/|vert\.x",
    r"^(?:httpie|superagent|got|needle|ky|wreq|surf|isahc|ureq|http\.rb|typhoeus|httparty|mechanize|excon|hackney|finch|mint|req|tesla)(?:[/ ]|$)",
    r"pycurl|httplib2|python-|urllib|grpc-|\bcurl\b|libcurl|lua-resty|go-resty|fasthttp|windowspowershell|^(?:aws-sdk|boto|soapui|bruno|hoppscotch|apifox|apipost)",
    // Fetchers of AI assistants and of training data.
    r"-(?:user|agent|fetcher|externalagent|externalfetcher)/\d",
    r"[a-z]-user(?:[;,)\s]|$)",
    // Mail filters and virus scanners open links before their readers do.
    r"barracuda|proofpoint|mimecast|symantec|trendmicro|sophos|fireeye|zscaler|safelinks|urlscan|virustotal",
    // Office programs fetch a document before they open its link in the browser.
    r"ms-office|msoffice|microsoft office|ms frontpage",
    r"health-?check|healthcheck|kube-probe|haproxy|zabbix|nagios|prometheus|blackbox",
    r"googlehc/",
    r"monitor(?:ing|is)?\b",
    r"link ?check|validator|fetch(?:er)?\b",
    r"feed ?(?:ly|reader|burner|parser)|\brss\b",
    r"nmap|masscan|nikto|sqlmap|zgrab|nuclei",
    r"alibaba\.security|heimdall|qualys|nessus|acunetix|netsparker|openvas|censys|shodan|zoomeye|detectify|netcraft|appscan|webscan|vulnscan",
    r"\+https?://",
];

/// Recognises bots by their user agent.
#[derive(Debug)]
pub(crate) struct Bots {
    list: Option<Regex>,
    words: Option<Regex>,
}

impl Bots {
    /// With the operator's words in addition to the built-in ones; blank ones are skipped.
    pub(crate) fn new(more: &[String]) -> Self {
        let more = more.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).map(regex::escape);
        let words: Vec<String> = WORDS.into_iter().map(str::to_owned).chain(more).collect();
        let list: Vec<String> =
            LIST.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(|line| format!("(?:{line})")).collect();
        Self {
            list: RegexBuilder::new(&list.join("|")).size_limit(64 << 20).build().ok(),
            words: RegexBuilder::new(&words.join("|")).case_insensitive(true).build().ok(),
        }
    }

    /// Whether a user agent is a bot's.
    pub(crate) fn is_bot(&self, user_agent: &str) -> bool {
        [&self.words, &self.list].into_iter().flatten().any(|known| known.is_match(user_agent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTS: &[&str] = &[
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
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; Claude-User/1.0; +Claude-User@anthropic.com",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot",
        "MistralAI-User/1.0",
        "Mozilla/5.0 (compatible; BarracudaCentral/1.0)",
        "okhttp/3.14.9",
        "Java/1.8.0_201",
        "Java/17.0.1",
        "GuzzleHttp/7",
        "Ruby/2.7",
        "meta-externalagent/1.1",
        "ELB-HealthChecker/2.0",
        "kube-probe/1.27",
        "Mozilla/4.0 (compatible; ms-office; MSOffice rmj)",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
        "Mozilla/5.0 (compatible; 360Spider/1.0)",
        "Yisouspider",
        "PetalBot;+https://webmaster.petalsearch.com/site/petalbot",
        "Google-Safety",
        "SkypeUriPreview Preview/0.5",
        "Iframely/1.3.1 (+https://iframely.com/docs/about)",
        "inhousemonitor 1",
        "Java-http-client/11.0.2",
        "unirest-java/1.3",
        "Apache-CXF/3.4",
        "Apache-CXF/3.4.0 (camel)",
        "Mozilla/5.0 (Windows NT 10.0) Alibaba.Security.Heimdall.9483323.p",
        "Doubao-User",
        "Mozilla/5.0 (compatible; Doubao-User; Linux)",
        "HTTPie/3.2.1",
        "Jersey/2.34 (HttpUrlConnection 1.8.0_292)",
        "AsyncHttpClient/1.0",
        "Java-HttpClient/17",
        "aws-sdk-java/1.12",
        "libcurl/7.61",
        "Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowerShell/5.1.22621",
    ];

    /// Browsers, and apps.
    const PEOPLE: &[&str] = &[
        "",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Edg/120.0",
        "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15",
        "Opera/9.80 (Windows NT 6.1) Presto/2.12 Version/12.16",
        // Browsers inside apps.
        "Mozilla/5.0 (iPhone; CPU iPhone OS 15_4 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.20",
        "Mozilla/5.0 (Linux; Android 12; M2102J2SC; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/107.0 Mobile Safari/537.36 XWEB/5061 MMWEBSDK/20230504 MMWEBID/4545 MicroMessenger/8.0.37 WeChat/arm64 Weixin NetType/WIFI Language/zh_CN ABI/arm64",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/81.0 Safari/537.36 NetType/WIFI MicroMessenger/7.0.20.1781(0x6700143B) WindowsWechat",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/15.4 Safari/605.1.15 wxwork/4.0.6",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 16_1 like Mac OS X; zh-CN) AppleWebKit/537.51.1 (KHTML, like Gecko) Mobile/20B82 AliApp(DingTalk/7.0.40) com.laiwang.DingTalk/29361 Channel/201200 language/zh-Hans-CN UT4Aplus/0.0.6 WK",
        "Mozilla/5.0 (Linux; Android 9) AppleWebKit/537.36 Mobile Safari/537.36 Lark/5.25 LarkLocale/zh_CN ChannelName/Feishu",
        "Mozilla/5.0 (Linux; Android 12; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/94 Mobile Safari/537.36 aweme_230400 JsSdk/1.0 NetType/WIFI Channel/xiaomi AppName/aweme BytedanceWebview/d8a21c6",
        "Mozilla/5.0 (Linux; Android 11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/87 Mobile Safari/537.36 baiduboxapp/13.10.0.10 (Baidu; P1 11)",
        "Mozilla/5.0 (Linux; U; Android 10; zh-CN) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/78.0 UCBrowser/13.3.8 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 10; HarmonyOS) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/92 HuaweiBrowser/12.0 Mobile Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/441.0.0.35.113;FBDV/iPhone14,5;FBLC/en_US]",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [LinkedInApp]/9.28.7586",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [Pinterest/iOS]",
        "Mozilla/5.0 (Linux; Android 10; Pixel 3) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119 Mobile Safari/537.36 Instagram 309.1.0.41.113 Android",
        "Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 Chrome/115 Mobile Safari/537.36 Line/13.14 WhatsApp",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.35 Chrome/116 Electron/26 Safari/537.36",
        "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 Chrome/98.0 Mobile Safari/537.36",
        // Apps, by the names of their HTTP libraries.
        "Dalvik/2.1.0 (Linux; U; Android 13; SM-G990B)",
        "MyApp/1.0 CFNetwork/1404.0.5 Darwin/22.3.0",
    ];

    #[test]
    fn bots_are_recognised_and_people_are_not() {
        let bots = Bots::new(&["InHouseMonitor".into(), " ".into()]);
        for agent in BOTS {
            assert!(bots.is_bot(agent), "{agent}");
        }
        for agent in PEOPLE {
            assert!(!bots.is_bot(agent), "{agent}");
        }
    }

    #[test]
    fn the_list_is_read_with_its_origin() {
        let bots = Bots::new(&[]);
        assert!(bots.list.is_some() && bots.words.is_some());
        assert!(LIST.contains("# Source: ") && LIST.contains(", version ") && LIST.contains("MIT"));
        assert!(LIST.lines().filter(|line| !line.starts_with('#')).count() > 1_000);
    }
}

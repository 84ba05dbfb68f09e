//! The simulated instruments: 40 symbols over four asset types and their markets. Prices are only a place to start.

use serde::{Deserialize, Serialize};

/// What kind of thing is traded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AssetType {
    Equity,
    Etf,
    Forex,
    Crypto,
}

impl AssetType {
    pub(crate) const ALL: [Self; 4] = [Self::Equity, Self::Etf, Self::Forex, Self::Crypto];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Equity => "equity",
            Self::Etf => "etf",
            Self::Forex => "forex",
            Self::Crypto => "crypto",
        }
    }

    /// Standard deviation of one step of the walk, as a fraction of the price.
    pub(crate) fn step(self) -> f64 {
        match self {
            Self::Equity => 0.0006,
            Self::Etf => 0.0004,
            Self::Forex => 0.0001,
            Self::Crypto => 0.0015,
        }
    }
}

/// One tradable thing.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) symbol: &'static str,
    pub(crate) name: &'static str,
    pub(crate) asset: AssetType,
    pub(crate) market: &'static str,
    /// Where the walk starts, in the listing's own currency.
    pub(crate) price_start: f64,
}

/// A market and its trading hours in UTC minutes of the day, Monday to Friday; `None` never closes.
#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) name: &'static str,
    pub(crate) minutes: Option<(i64, i64)>,
}

pub(crate) const MARKETS: [Market; 5] = [
    Market { name: "NYSE", minutes: Some((14 * 60 + 30, 21 * 60)) },
    Market { name: "NASDAQ", minutes: Some((14 * 60 + 30, 21 * 60)) },
    Market { name: "LSE", minutes: Some((8 * 60, 16 * 60 + 30)) },
    Market { name: "FX", minutes: Some((0, 24 * 60)) },
    Market { name: "CRYPTO", minutes: None },
];

impl Market {
    /// Whether a session is open at `now_us`. Holidays are not simulated.
    pub(crate) fn is_open(&self, now_us: i64) -> bool {
        let Some((from, to)) = self.minutes else { return true };
        let minutes = now_us.div_euclid(60_000_000);
        // 1970-01-01 was a Thursday; 0 is Monday here.
        let weekday = (minutes.div_euclid(24 * 60) + 3).rem_euclid(7);
        let minute = minutes.rem_euclid(24 * 60);
        weekday < 5 && (from..to).contains(&minute)
    }
}

pub(crate) fn find(symbol: &str) -> Option<&'static Listing> {
    LISTINGS.iter().find(|listing| listing.symbol == symbol)
}

const fn listing(
    symbol: &'static str,
    name: &'static str,
    asset: AssetType,
    market: &'static str,
    price_start: f64,
) -> Listing {
    Listing { symbol, name, asset, market, price_start }
}

use AssetType::{Crypto, Equity, Etf, Forex};

#[rustfmt::skip]
pub(crate) const LISTINGS: [Listing; 40] = [
    listing("AAPL",    "Apple",                  Equity, "NASDAQ", 190.0),
    listing("MSFT",    "Microsoft",              Equity, "NASDAQ", 410.0),
    listing("NVDA",    "NVIDIA",                 Equity, "NASDAQ", 120.0),
    listing("AMZN",    "Amazon",                 Equity, "NASDAQ", 185.0),
    listing("GOOG",    "Alphabet",               Equity, "NASDAQ", 172.0),
    listing("META",    "Meta Platforms",         Equity, "NASDAQ", 500.0),
    listing("TSLA",    "Tesla",                  Equity, "NASDAQ", 240.0),
    listing("INTC",    "Intel",                  Equity, "NASDAQ", 31.0),
    listing("JPM",     "JPMorgan Chase",         Equity, "NYSE",   205.0),
    listing("BAC",     "Bank of America",        Equity, "NYSE",   39.0),
    listing("XOM",     "Exxon Mobil",            Equity, "NYSE",   114.0),
    listing("KO",      "Coca-Cola",              Equity, "NYSE",   62.0),
    listing("DIS",     "Walt Disney",            Equity, "NYSE",   101.0),
    listing("IBM",     "IBM",                    Equity, "NYSE",   175.0),
    listing("WMT",     "Walmart",                Equity, "NYSE",   67.0),
    listing("BA",      "Boeing",                 Equity, "NYSE",   180.0),
    listing("VOD.L",   "Vodafone",               Equity, "LSE",    0.71),
    listing("BP.L",    "BP",                     Equity, "LSE",    4.7),
    listing("HSBA.L",  "HSBC",                   Equity, "LSE",    6.9),
    listing("AZN.L",   "AstraZeneca",            Equity, "LSE",    123.0),
    listing("SPY",     "SPDR S&P 500",           Etf,    "NYSE",   545.0),
    listing("IWM",     "iShares Russell 2000",   Etf,    "NYSE",   203.0),
    listing("GLD",     "SPDR Gold",              Etf,    "NYSE",   215.0),
    listing("VTI",     "Vanguard Total Market",  Etf,    "NYSE",   268.0),
    listing("QQQ",     "Invesco QQQ",            Etf,    "NASDAQ", 480.0),
    listing("TLT",     "iShares 20+ Year Bond",  Etf,    "NASDAQ", 93.0),
    listing("ISF.L",   "iShares FTSE 100",       Etf,    "LSE",    8.1),
    listing("VUSA.L",  "Vanguard S&P 500",       Etf,    "LSE",    82.0),
    listing("EURUSD",  "Euro / US dollar",       Forex,  "FX",     1.08),
    listing("GBPUSD",  "Sterling / US dollar",   Forex,  "FX",     1.27),
    listing("USDJPY",  "US dollar / yen",        Forex,  "FX",     157.0),
    listing("USDCHF",  "US dollar / franc",      Forex,  "FX",     0.89),
    listing("AUDUSD",  "Australian / US dollar", Forex,  "FX",     0.665),
    listing("EURGBP",  "Euro / sterling",        Forex,  "FX",     0.845),
    listing("BTC-USD", "Bitcoin",                Crypto, "CRYPTO", 64_000.0),
    listing("ETH-USD", "Ether",                  Crypto, "CRYPTO", 3_400.0),
    listing("SOL-USD", "Solana",                 Crypto, "CRYPTO", 145.0),
    listing("XRP-USD", "XRP",                    Crypto, "CRYPTO", 0.49),
    listing("ADA-USD", "Cardano",                Crypto, "CRYPTO", 0.39),
    listing("DOGE-USD","Dogecoin",               Crypto, "CRYPTO", 0.125),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listing_has_its_own_symbol_and_a_known_market() {
        for (at, listing) in LISTINGS.iter().enumerate() {
            assert!(MARKETS.iter().any(|market| market.name == listing.market), "{}", listing.symbol);
            assert!(LISTINGS.iter().skip(at + 1).all(|other| other.symbol != listing.symbol), "{}", listing.symbol);
        }
    }

    #[test]
    fn sessions_follow_the_week() {
        let check = |market: usize, at_s: i64, open: bool| {
            assert_eq!(MARKETS[market].is_open(at_s * 1_000_000), open, "{} at {at_s}", MARKETS[market].name);
        };
        // 2024-06-03 was a Monday; 1_717_372_800 is its midnight.
        let monday = 1_717_372_800;
        check(0, monday + (14 * 60 + 29) * 60, false);
        check(0, monday + (14 * 60 + 30) * 60, true);
        check(0, monday + 21 * 3600, false);
        check(2, monday + 8 * 3600, true);
        check(3, monday - 3600, false);
        check(3, monday, true);
        check(4, monday - 3600, true);
    }
}

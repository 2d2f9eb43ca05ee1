internal import TenonCore

extension TenonClient {
    /// How a client waits, retries and bounds itself. Every default suits one region.
    public struct Configuration: Sendable {
        /// How long a call may take, retries included, when it does not say.
        public var timeout: Duration = .seconds(5)
        /// How long a connection may take to open.
        public var connectTimeout: Duration = .seconds(1)
        /// How long a node that owes an answer may say nothing before it is asked for a sign of
        /// life; after as long again its calls go elsewhere. Ten round trips at least.
        public var silenceBound: Duration = .milliseconds(200)
        /// The shortest pause before a retry; each further one is about twice as long.
        public var retryPauseMin: Duration = .milliseconds(10)
        /// The longest pause before a retry, and so the most that a retry adds to a failover.
        public var retryPauseMax: Duration = .milliseconds(100)
        /// Where the client stands, in the form of the nodes' own: `city=shanghai,dc=sh1`. Reads
        /// that may be stale go to the nearest replica by it; empty: to any.
        public var locality = ""
        /// Calls under way at once; one more is refused as `overloaded`.
        public var callsInFlightMax = 65_536
        /// Bytes of keys and values under way at once; more is refused as `overloaded`.
        public var bytesInFlightMax = 256 << 20

        /// The defaults.
        public init() {}

        /// Throws what is wrong with these settings.
        ///
        /// - Throws: ``TenonError/Kind/invalid``, naming the setting.
        public func validate() throws(TenonError) {
            try Configuration.check(timeout > .zero, "timeout", "\(timeout)")
            try Configuration.check(connectTimeout > .zero, "connectTimeout", "\(connectTimeout)")
            try Configuration.check(
                silenceBound >= .milliseconds(10), "silenceBound", "\(silenceBound)")
            try Configuration.check(
                retryPauseMin >= .milliseconds(1), "retryPauseMin", "\(retryPauseMin)")
            try Configuration.check(
                retryPauseMax >= retryPauseMin, "retryPauseMax", "\(retryPauseMax)")
            try Configuration.check(
                (1...1_000_000).contains(callsInFlightMax), "callsInFlightMax",
                "\(callsInFlightMax)")
            try Configuration.check(
                bytesInFlightMax >= Limits.frameBytesMax, "bytesInFlightMax",
                "\(bytesInFlightMax)")
            _ = try parsedLocality()
        }

        func parsedLocality() throws(TenonError) -> Locality {
            do throws(LocalityError) {
                return try Locality(parsing: locality)
            } catch {
                throw TenonError(
                    .invalid, .notApplied, "the setting locality is wrong: \(error.problem)")
            }
        }

        private static func check(
            _ isFine: Bool, _ setting: String, _ value: String
        ) throws(TenonError) {
            guard isFine else {
                throw TenonError(.invalid, .notApplied, "the setting \(setting) is \(value)")
            }
        }
    }
}

extension TimeSpan {
    /// `duration` to the nanosecond; zero when it is negative.
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else {
            self = .zero
            return
        }
        // 2^33 seconds are 272 years: enough for "for ever", and no overflow below.
        let bounded = UInt64(min(seconds, 1 << 33))
        self.init(nanoseconds: bounded * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000)
    }
}

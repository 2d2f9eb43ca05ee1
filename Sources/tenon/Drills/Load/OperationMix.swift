import TenonCore

/// What the load does: half writes, four tenths reads, a tenth compare-and-set increments.
struct OperationMix: Sendable {
    enum Kind: Hashable, Sendable {
        case put(key: Int)
        case get(key: Int)
        case increment(counter: Int)
    }

    let keyCount: Int
    let counterCount: Int
    private var random: SeededGenerator

    init(keyCount: Int, counterCount: Int, seed: UInt64) {
        self.keyCount = keyCount
        self.counterCount = counterCount
        random = SeededGenerator(seed: seed)
    }

    mutating func next() -> Kind {
        switch random.below(10) {
        case 0: .increment(counter: Int(random.below(UInt64(counterCount))))
        case 1...5: .put(key: Int(random.below(UInt64(keyCount))))
        default: .get(key: Int(random.below(UInt64(keyCount))))
        }
    }
}

/// The keys of a run, spread over all tablets of a cluster.
///
/// Tablets' borders lie evenly over the first two bytes from `00` to `zz`, so keys begin with two
/// digits to the base 36 that go evenly over that range.
struct DrillKeys: Sendable {
    /// Tells runs on one cluster apart.
    let run: String
    /// The cities whose prefixes the keys have in turn; none when nobody said where keys are led.
    var cities: [String] = []

    /// What the keys of a city begin with.
    static func home(of city: String) -> String { "\(city)/" }

    func key(_ number: Int, of count: Int, round: Int) -> Bytes {
        Bytes("\(prefix(number, of: count))-drill-\(run)-\(round)-\(number)")
    }

    func counter(_ number: Int, of count: Int) -> Bytes {
        Bytes("\(prefix(number, of: count))-drill-\(run)-counter-\(number)")
    }

    /// Of one client that a drill watches.
    func marker(round: Int) -> Bytes { Bytes("\(prefix(1, of: 2))-drill-\(run)-marker-\(round)") }

    private func prefix(_ number: Int, of count: Int) -> String {
        let place = number * 36 * 36 / count
        let city = cities.isEmpty ? "" : DrillKeys.home(of: cities[number % cities.count])
        return city + String(place / 36, radix: 36) + String(place % 36, radix: 36)
    }
}

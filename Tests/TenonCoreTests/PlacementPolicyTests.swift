import TenonCore
import Testing

@Suite("Placement policies")
struct PlacementPolicyTests {
    private let policy = PlacementPolicy(
        survive: .city,
        homes: [
            .init(prefix: "sh/", city: "shanghai"), .init(prefix: "bj/", city: "beijing"),
            .init(prefix: [0xFF, 0xFF], city: "shenzhen"),
        ], failover: ["shenzhen", "beijing"], reads: .lease,
        acknowledgement: .city, localReadsWithin: .seconds(2))

    @Test("A policy is read as it was written, in its order")
    func codec() throws {
        var writer = ByteWriter()
        policy.encode(to: &writer)
        var reader = ByteReader(writer.bytes)
        #expect(try PlacementPolicy(from: &reader) == policy)
        try reader.finish()
    }

    @Test("An age of local reads out of bounds is no policy, none is one")
    func localReads() throws {
        for (age, isTaken) in [
            (TimeSpan.milliseconds(1), true), (.seconds(86_400), true),
            (TimeSpan(nanoseconds: 999_999), false), (.seconds(86_401), false),
        ] {
            var writer = ByteWriter()
            PlacementPolicy(localReadsWithin: age).encode(to: &writer)
            var reader = ByteReader(writer.bytes)
            let read = try? PlacementPolicy(from: &reader)
            #expect((read?.localReadsWithin == age) == isTaken, "\(age)")
        }
    }

    @Test("A policy cut off anywhere is no policy")
    func truncation() {
        var writer = ByteWriter()
        policy.encode(to: &writer)
        for count in 0..<writer.bytes.count {
            #expect(throws: DecodingError.self) {
                var reader = ByteReader(Array(writer.bytes[..<count]))
                _ = try PlacementPolicy(from: &reader)
            }
        }
    }

    @Test("Homes begin and end at their prefix, and the last one at the end of all keys")
    func borders() {
        #expect(policy.borders == ["bj/", "bj0", "sh/", "sh0", [0xFF, 0xFF]])
        #expect(policy.home(from: "sh/", to: "sh0")?.city == "shanghai")
        #expect(policy.home(from: "sh/a", to: "sh/b")?.city == "shanghai")
        #expect(policy.home(from: [0xFF, 0xFF], to: nil)?.city == "shenzhen")
    }

    @Test("What lies across a border, or beside all homes, has none")
    func noHome() {
        #expect(policy.home(from: "sh/", to: "sh1") == nil)
        #expect(policy.home(from: "sh/", to: nil) == nil)
        #expect(policy.home(from: "", to: "bj/") == nil)
        #expect(policy.home(from: "sg", to: "sh0") == nil)
    }

    @Test("An empty prefix is a home of everything, and has no border")
    func everything() {
        let all = PlacementPolicy(homes: [.init(prefix: "", city: "shanghai")])
        #expect(all.borders.isEmpty)
        #expect(all.home(from: "", to: nil)?.city == "shanghai")
        #expect(all.home(from: "k", to: "m")?.city == "shanghai")
    }
}

import TenonCore
import TenonSimulator
import Testing

/// A host's clocks: off from the simulation's, and back.
@Suite struct HostClockTests {
    @Test func `a right clock shows the time of the simulation`() {
        let clock = HostClock()
        let moment = Instant(nanoseconds: 123_456_789)
        #expect(clock.local(at: moment) == moment)
        #expect(clock.moment(at: moment) == moment)
        #expect(clock.moment(at: .distantFuture) == Instant.distantFuture)
    }

    @Test(arguments: [Int64(-2_000), -1, 1, 500, 2_000])
    func `a drifting clock never goes back, and is converted both ways`(pace: Int64) {
        var clock = HostClock()
        var last = Instant.zero
        for second in 1...100 {
            let moment = Instant(nanoseconds: UInt64(second) * 1_000_000_007)
            if second == 20 { clock.drift(perMillion: pace, from: moment) }
            if second == 60 { clock.drift(perMillion: 0, from: moment) }
            let local = clock.local(at: moment)
            #expect(local > last)
            last = local
            // A timer never rings before its time.
            #expect(clock.local(at: clock.moment(at: local)) >= local)
        }
        let expected = 100 * 1_000_000_007 + 40 * 1_000 * pace
        #expect(abs(Int64(last.nanoseconds) - expected) < 100_000)
    }
}

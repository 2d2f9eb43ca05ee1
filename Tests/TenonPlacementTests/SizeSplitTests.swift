import TenonCore
import TenonPlacement
import Testing

/// Which tablets are split because they have grown.
@Suite struct `Splits by size` {
    private func wish(_ below: UInt64, _ from: UInt64) -> SplitWish {
        SplitWish(
            tablet: TabletID(2), generation: .first, at: "m", bytesBelow: below, bytesFrom: from)
    }

    @Test(
        arguments: [
            // Not above the bound, and above it.
            (400, 400, 800, false), (400, 401, 800, true),
            // One part of an eighth of the bound, and of less.
            (100, 9_000, 800, true), (99, 9_000, 800, false), (9_000, 99, 800, false),
            // All versions of one key are below nothing.
            (0, 9_000, 800, false),
            // No bound at all.
            (9_000, 9_000, 0, false),
        ] as [(UInt64, UInt64, UInt64, Bool)])
    func `a tablet is split above its bound, where neither part is too small`(
        below: UInt64, from: UInt64, bound: UInt64, isSplit: Bool
    ) {
        #expect(SizeSplits.isWorthIt(wish(below, from), above: bound) == isSplit)
    }

    @Test func `sizes that no disk has are no reason`() {
        #expect(!SizeSplits.isWorthIt(wish(.max, .max), above: 1 << 30))
    }

    /// Halves of one split are not split again: each has about half of what was a little too much.
    @Test func `what was split at its middle is small enough`() {
        for bytes in stride(from: UInt64(801), to: 1_600, by: 7) {
            let (low, high) = (bytes / 2, bytes - bytes / 2)
            #expect(SizeSplits.isWorthIt(wish(low, high), above: 800))
            for half in [low, high] {
                #expect(!SizeSplits.isWorthIt(wish(half / 2, half - half / 2), above: 800))
            }
        }
    }

    @Test func `one tablet is tried once in a pause, others meanwhile`() {
        var splits = SizeSplits()
        let begin = Instant.zero + .seconds(5)
        let first = splits.take(TabletID(2), now: begin)
        let again = splits.take(TabletID(2), now: begin + .seconds(29))
        let other = splits.take(TabletID(3), now: begin + .seconds(29))
        let later = splits.take(TabletID(2), now: begin + SizeSplits.pause)
        #expect([first, again, other, later] == [true, false, true, true])
    }
}

import Synchronization
import TenonClient
import TenonCore

/// Entries are appended to journals, each under the next number and only if it is free. What was
/// acknowledged stays; a retry of an append whose outcome nobody knew finds itself or is the first.
final class JournalAppends: BusinessLoad {
    let scenario = BusinessScenario.journal
    let tally = BusinessTally()
    private let store: any BusinessStore
    private let journals: Mutex<[Journal]>

    /// One writer's journal.
    private struct Journal: Sendable {
        let prefix: String
        /// Entries before it are known to be there.
        var next = 1
        var isBusy = false
    }

    init(_ store: any BusinessStore, _ homes: [String]) {
        self.store = store
        let writers = BusinessScenario.journal.clients
        journals = Mutex(
            homes.flatMap { home in
                (0..<writers).map { Journal(prefix: "\(home)\($0)-") }
            })
    }

    func prepare() async throws(TenonError) {}

    func step(_ random: inout SeededGenerator) async throws(TenonError) {
        guard let place = take(Int(random.below(UInt64(journals.withLock { $0.count })))) else {
            return
        }
        defer { journals.withLock { $0[place].isBusy = false } }
        let (prefix, number) = journals.withLock { ($0[place].prefix, $0[place].next) }
        let value = JournalAppends.entry(number, of: prefix)
        do throws(TenonError) {
            try await store.putIfAbsent(JournalAppends.key(number, of: prefix), value)
        } catch {
            // There already: by this writer's own append, whose answer was lost.
            guard error.kind == .conditionFailed else { throw error }
            tally.check(error.current?.bytes == value, "entry \(number) of \(prefix) is another")
        }
        journals.withLock { $0[place].next = number + 1 }
    }

    /// A journal that nobody writes to just now, `start` or the next after it.
    private func take(_ start: Int) -> Int? {
        journals.withLock { journals in
            for step in journals.indices {
                let place = (start + step) % journals.count
                if !journals[place].isBusy {
                    journals[place].isBusy = true
                    return place
                }
            }
            return nil
        }
    }

    /// Every entry that is known to be there is, in its place; at most one more is, whose outcome
    /// nobody knew.
    func settle() async throws(TenonError) {
        for journal in journals.withLock({ $0 }) {
            let items = try await store.all(journal.prefix).items
            for (number, item) in zip(1..., items) {
                tally.check(
                    item.key == JournalAppends.key(number, of: journal.prefix)
                        && item.value.bytes == JournalAppends.entry(number, of: journal.prefix),
                    "entry \(number) of \(journal.prefix) is missing or another")
            }
            tally.check(
                items.count == journal.next - 1 || items.count == journal.next,
                "\(journal.prefix) has \(items.count) entries of \(journal.next - 1) known")
        }
    }

    /// In order of numbers as of bytes.
    private static func key(_ number: Int, of prefix: String) -> Bytes {
        Bytes(prefix + String(1_000_000_000 + number))
    }

    private static func entry(_ number: Int, of prefix: String) -> Bytes {
        Bytes("\(prefix)\(number) of the journal")
    }
}

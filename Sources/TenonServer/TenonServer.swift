internal import Glibc
package import Logging
internal import NIOCore
internal import NIOPosix
import ServiceLifecycle
import TenonCore
import TenonLog
import TenonNode
import TenonWire

/// Why a server ended, or did not start.
package struct ServerError: Error, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// One node of a cluster in the real world: files, sockets, threads.
package struct TenonServer: Service {
    private let settings: ServeSettings
    private let logger: Logger

    /// How long a stopping node waits for others to take over what it leads.
    private static let handOverMax = TimeAmount.seconds(2)

    package init(settings: ServeSettings, logger: Logger) {
        self.settings = settings
        self.logger = logger
    }

    /// Serves until a graceful shutdown is asked for, or the node must not go on.
    ///
    /// - Throws: ``ServerError`` when it cannot start or has to end: the message says why.
    package func run() async throws {
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let driver = try start(on: loop)
        let listener = try await listen(driver, loop)
        logger.info("node \(settings.name) listens on \(settings.listen)")
        if settings.takesFaults {
            logger.warning(
                "fault injection is on: whoever reaches \(settings.listen) can make it fail")
        }
        try await connectPeers(driver, loop)
        let reason = try await withGracefulShutdownHandler {
            try await driver.whenHalted.get()
        } onGracefulShutdown: {
            drainThenHalt(driver)
        }
        try await listener.close()
        driver.stop()
        if reason != NodeDriver.gracefulReason { throw ServerError(reason) }
        logger.info("node \(settings.name) stopped")
    }

    /// Opens the folder, the log and the stores: blocking, before anything is promised.
    private func start(on loop: any EventLoop) throws -> NodeDriver {
        let machine = Machine(settings)
        let fileSystem = machine.fileSystem
        let clock = machine.clock
        var generator = SystemRandomNumberGenerator()
        let configuration = settings.nodeConfiguration
        do {
            try configuration.validate()
            try fileSystem.createDirectory(settings.data)
            if try PosixFileSystem().isVolatile(settings.data) && !settings.allowsVolatile {
                throw ServerError(
                    "\(settings.data) is on a file system that forgets everything at power-off "
                        + "(tmpfs): give another --data, or --allow-volatile for a test")
            }
            let folder = try NodeFolder.open(
                fileSystem: fileSystem, directory: settings.data, configuration: configuration,
                generator: &generator)
            guard folder.identity.node != NodeID(0) else {
                throw ServerError(
                    "\(settings.data) has not joined a cluster yet: start with --join HOST:PORT")
            }
            let (log, recovery) = try Log.open(
                fileSystem: fileSystem, directory: folder.logDirectory,
                configuration: settings.logConfiguration)
            let start = try NodeStart(
                configuration: configuration, folder: folder, fileSystem: fileSystem,
                recovery: recovery, logStatus: log.status, seed: generator.next(), now: clock.now)
            for notice in start.notices { logger.warning("\(notice.text)") }
            logger.info(
                "boot \(folder.identity.boot): the log goes on after batch \(log.status.lastBatch)")
            let data = settings.data
            let driver = NodeDriver(
                node: Node(start: start, now: clock.now), in: folder,
                logThread: LogThread(log: log), loop: loop, clock: clock, logger: logger,
                faults: machine.faults,
                freeBytes: {
                    do {
                        return UInt64(try fileSystem.freeBytes(at: data))
                    } catch {
                        return 0  // Shown in status: a folder that cannot be asked has no room.
                    }
                })
            driver.start()
            return driver
        } catch let error as ServerError {
            throw error
        } catch let error as LogError {
            throw ServerError("the log in \(settings.data): \(error)")
        } catch {
            throw ServerError("\(error)")
        }
    }

    /// Files and clocks as the node sees them.
    private struct Machine {
        let fileSystem: any FileSystem
        let clock: any Clock
        let faults: FaultInjector?

        /// The real ones; wrapped only in a node that takes orders to be faulty.
        init(_ settings: ServeSettings) {
            guard settings.takesFaults else {
                fileSystem = PosixFileSystem()
                clock = SystemClock()
                faults = nil
                return
            }
            let disk = DiskSwitches(logDirectory: NodeFolder.logDirectory(in: settings.data))
            let clock = FaultyClock(SystemClock())
            fileSystem = FaultyFileSystem(PosixFileSystem(), switches: disk)
            self.clock = clock
            faults = FaultInjector(disk: disk, clock: clock, distances: settings.distances)
        }
    }

    private func listen(_ driver: NodeDriver, _ loop: any EventLoop) async throws -> any Channel {
        do {
            return try await ServerBootstrap(group: loop)
                .serverChannelOption(.backlog, value: 1_024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(
                    .writeBufferWaterMark,
                    value: ChannelOptions.Types.WriteBufferWaterMark(
                        low: 256 << 10, high: 8 << 20)
                )
                .childChannelOption(
                    .recvAllocator,
                    value: AdaptiveRecvByteBufferAllocator(
                        minimum: 4_096, initial: 64 << 10, maximum: 1 << 20)
                )
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            InboundConnection(driver: driver))
                    }
                }
                .bind(host: settings.listen.host, port: settings.listen.port)
                .get()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            driver.stop()
            throw ServerError(
                "\(settings.listen) is in use by another process: stop it, or give another --listen"
            )
        } catch {
            driver.stop()
            throw ServerError("cannot listen on \(settings.listen): \(error)")
        }
    }

    private func connectPeers(_ driver: NodeDriver, _ loop: any EventLoop) async throws {
        try await loop.submit {
            driver.wantTurn()
            driver.prepareLogAhead()
            driver.keepLinks(to: driver.otherNodes)
        }.get()
    }

    /// Hands leaderships over, and ends when nothing is led here or it takes too long.
    private func drainThenHalt(_ driver: NodeDriver) {
        let loop = driver.loop
        loop.execute {
            // Again and again: at any moment nobody may be prompt enough to be handed a tablet.
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(50)) { task in
                guard !driver.leadsNothing else { return task.cancel() }
                driver.prepareToStop()
            }
            loop.scheduleTask(in: TenonServer.handOverMax) { driver.stopGracefully() }
            loop.scheduleRepeatedTask(
                initialDelay: .milliseconds(5), delay: .milliseconds(5)
            ) { task in
                guard driver.leadsNothing else { return }
                task.cancel()
                driver.stopGracefully()
            }
        }
    }
}

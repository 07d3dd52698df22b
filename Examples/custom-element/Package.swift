// swift-tools-version: 6.2
import PackageDescription

// A package of its own: it depends on Spillway as any user's package does, only by path instead of by version.
let package = Package(
    name: "custom-element",
    dependencies: [.package(name: "spillway", path: "../..")],
    targets: [
        .executableTarget(
            name: "custom-spillway",
            dependencies: [
                .product(name: "Spillway", package: "spillway"),
                .product(name: "SpillwayCommand", package: "spillway"),
            ]
        )
    ]
)

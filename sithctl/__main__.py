from sithctl.commands.app import main

main()

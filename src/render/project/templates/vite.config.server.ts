
  server: {
    // Vite answers hosts that it does not know with 403. `vite preview` takes
    // these, too. With a dot in front: a domain and all below it.
    allowedHosts: @HOSTS@,
  },

"""shm-matte camera: a webcam, or a clip in its place, as a live matte in a page of one's browser.

A thread each: the camera's pictures (grabbing), mattes of the newest (session), what is on the
screen (screen), and the page's requests (server). Nothing queues: what is too slow misses pictures.
"""

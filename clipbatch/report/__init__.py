"""Findings and checks to a verdict and three files: ``report.html``, ``audit.json``, ``junit.xml``.

``model`` says what a report is made of, ``gate`` evaluates the checks, ``page``, ``audit`` and
``junit`` render one file each as bytes.
"""

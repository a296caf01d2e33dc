"""placeholder"""
from dataclasses import dataclass
@dataclass
class Analysis:
    pass

from .encoded_samples import EncodedSample as EncodedSample
from .encoded_samples import encode_sample as encode_sample
from .own_lines import OwnLines as OwnLines
from .own_lines import read_own_lines as read_own_lines
from .sample_stream import SampleStream as SampleStream
from .trainable_model import TrainableModel as TrainableModel
from .training_job import TrainedVoice as TrainedVoice
from .training_job import train_voice as train_voice
from .voice_evaluation import VoiceEvaluation as VoiceEvaluation
from .voice_evaluation import VoiceExam as VoiceExam
from .voice_evaluation import check_samples as check_samples
from .voice_folder import read_voice as read_voice
from .voice_folder import write_voice as write_voice
from .voice_settings import VoiceSettings as VoiceSettings
from .voice_trainer import TrainingHistory as TrainingHistory
from .voice_trainer import TrainingProgress as TrainingProgress
from .voice_trainer import VoiceTrainer as VoiceTrainer
from .voice_trainer import mean_loss as mean_loss

__all__: list[str]
